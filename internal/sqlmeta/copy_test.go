package sqlmeta

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCopyOut(t *testing.T) {
	text := func(change func(*CopyOut)) *CopyOut {
		c := &CopyOut{Format: "text", Delimiter: '\t', Null: `\N`}
		change(c)
		return c
	}
	csv := func(change func(*CopyOut)) *CopyOut {
		c := &CopyOut{Format: "csv", Delimiter: ',', Quote: '"', Escape: '"'}
		change(c)
		return c
	}
	same := func(*CopyOut) {}
	for sql, want := range map[string]*CopyOut{
		"COPY customers TO STDOUT":                                          text(same),
		"COPY (SELECT id FROM customers) TO STDOUT WITH (FORMAT text)":      text(same),
		"COPY customers TO STDOUT WITH DELIMITER '|' NULL ''":               text(func(c *CopyOut) { c.Delimiter, c.Null = '|', "" }),
		"COPY customers TO STDOUT (HEADER)":                                 text(func(c *CopyOut) { c.Header = true }),
		"COPY customers TO STDOUT (HEADER off)":                             text(same),
		"COPY customers TO STDOUT (FORMAT csv, HEADER 1)":                   csv(func(c *CopyOut) { c.Header = true }),
		"COPY customers TO STDOUT CSV HEADER QUOTE '''' FORCE QUOTE id":     csv(func(c *CopyOut) { c.Header, c.Quote, c.Escape, c.QuoteOf = true, '\'', '\'', []string{"id"} }),
		"COPY customers TO STDOUT (FORMAT csv, QUOTE '$', ESCAPE '\\')":     csv(func(c *CopyOut) { c.Quote, c.Escape = '$', '\\' }),
		"COPY customers TO STDOUT (FORMAT csv, NULL 'NULL', FORCE_QUOTE *)": csv(func(c *CopyOut) { c.Null, c.QuoteAll = "NULL", true }),
		"COPY customers TO STDOUT (FORMAT csv, ENCODING 'UTF8')":            csv(same),
		"COPY customers TO STDOUT (FORMAT binary)":                          {Format: "binary"},
		"COPY BINARY customers TO STDOUT":                                   {Format: "binary"},
		// What a value could be taken for NULL by, and what is not known here.
		"COPY customers (ssn) TO STDOUT (NULL '123-45-0001')":     nil,
		"COPY customers TO STDOUT (ENCODING 'SJIS')":              nil,
		"COPY customers TO STDOUT (FORMAT csv, DELIMITER 'ab')":   nil,
		"COPY customers TO STDOUT (FORMAT csv, DELIMITER 'é')":    nil,
		"COPY customers TO STDOUT (DELIMITER 'n')":                nil,
		"COPY customers TO STDOUT (FORMAT csv, QUOTE ',')":        nil,
		"COPY customers TO STDOUT (FORMAT csv, NULL '\"')":        nil,
		"COPY customers TO STDOUT (FORMAT csv, FORMAT text)":      nil,
		"COPY customers TO STDOUT (FORMAT parquet)":               nil,
		"COPY customers TO STDOUT (HEADER match)":                 nil,
		"COPY customers TO STDOUT (FORMAT binary, DELIMITER ',')": nil,
		"COPY customers TO STDOUT (SOMETHING new)":                nil,
		"COPY customers TO '/tmp/x'":                              nil,
		"COPY customers TO PROGRAM 'cat'":                         nil,
		"COPY customers FROM STDIN":                               nil,
	} {
		if diff := cmp.Diff(want, analyze(t, sql).CopyOut); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sql, diff)
		}
	}
}
