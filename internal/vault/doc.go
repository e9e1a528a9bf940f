// Package vault turns references to credentials into credentials: env:NAME,
// file:PATH, and secret:NAME from one file that is sealed with age
// (C2SP age). It knows nothing of who asks and why. A value never appears in a
// log, an error or the output of a String; errors name the reference and the
// way out.
package vault
