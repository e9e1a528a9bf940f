# The help desk: what is sensitive there is in the middle of texts. Its triggers tell
# much, and are let.
package weir.rules.desk

import rego.v1

allow if input.target.name in {"desk", "desk-api"}

waive contains "triggers" if input.target.name == "desk"
