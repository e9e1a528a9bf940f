package sqlmeta

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// CopyOut is how COPY TO STDOUT writes its rows (PostgreSQL, COPY).
type CopyOut struct {
	Format    string // "text", "csv" or "binary"
	Delimiter byte
	Null      string
	Header    bool
	Quote     byte // of csv, like the next
	Escape    byte
	QuoteAll  bool     // FORCE_QUOTE *
	QuoteOf   []string // columns that are always in quotes
}

// copyOutOf reads the options of a COPY TO STDOUT. It is nil where one of them is
// not known here: then nobody can tell rows and columns apart.
func copyOutOf(options []*pg.Node) *CopyOut {
	c := &CopyOut{Format: "text"}
	given := map[string]string{}
	for _, o := range options {
		d := o.GetDefElem()
		name := d.GetDefname()
		if _, twice := given[name]; d == nil || twice {
			return nil
		}
		value, ok := d.GetArg().GetString_().GetSval(), true
		switch name {
		case "format":
			c.Format = value
		case "header":
			c.Header, ok = boolean(d.GetArg())
		case "encoding":
			ok = strings.EqualFold(value, "utf8") || strings.EqualFold(value, "utf-8")
		case "delimiter", "null", "quote", "escape":
			ok = d.GetArg().GetString_() != nil
		case "force_quote":
			c.QuoteAll = d.GetArg().GetAStar() != nil
			c.QuoteOf = texts(d.GetArg().GetList().GetItems())
		default:
			ok = false
		}
		if !ok {
			return nil
		}
		given[name] = value
	}
	if !c.settle(given) {
		return nil
	}
	return c
}

// settle puts in the defaults, and says whether the options go together.
func (c *CopyOut) settle(given map[string]string) bool {
	defaults := map[string]string{"delimiter": "\t", "null": `\N`, "quote": `"`}
	switch c.Format {
	case "text":
	case "csv":
		defaults["delimiter"], defaults["null"] = ",", ""
	case "binary":
		return !c.Header && only(given, "format", "encoding")
	default:
		return false
	}
	option := func(name string) string {
		if v, ok := given[name]; ok {
			return v
		}
		return defaults[name]
	}
	c.Null = option("null")
	defaults["escape"] = option("quote")
	for name, b := range map[string]*byte{"delimiter": &c.Delimiter, "quote": &c.Quote, "escape": &c.Escape} {
		v := option(name)
		if len(v) != 1 || v[0] >= 0x80 || v == "\n" || v == "\r" || v == "\x00" {
			return false
		}
		*b = v[0]
	}
	if strings.ContainsAny(c.Null, "\r\n"+string(rune(c.Delimiter))) {
		return false
	}
	if c.Format == "csv" {
		return c.Quote != c.Delimiter && strings.IndexByte(c.Null, c.Quote) < 0
	}
	c.Quote, c.Escape = 0, 0
	// A value that is the word for NULL is written just so: it could not be told
	// from NULL, unless no value can be written like that.
	return only(given, "format", "delimiter", "null", "header", "encoding") && (c.Null == `\N` || c.Null == "") &&
		!strings.ContainsRune(`\.abcdefghijklmnopqrstuvwxyz0123456789`, rune(c.Delimiter))
}

func only(given map[string]string, names ...string) bool {
	left := len(given)
	for _, name := range names {
		if _, ok := given[name]; ok {
			left--
		}
	}
	return left == 0
}

// boolean reads the value of an option as the server does (defGetBoolean).
func boolean(n *pg.Node) (value, ok bool) {
	switch {
	case n == nil:
		return true, true
	case n.GetBoolean() != nil:
		return n.GetBoolean().GetBoolval(), true
	case n.GetInteger() != nil:
		i := n.GetInteger().GetIval()
		return i == 1, i == 0 || i == 1
	case n.GetString_() != nil:
		switch strings.ToLower(n.GetString_().GetSval()) {
		case "true", "on":
			return true, true
		case "false", "off":
			return false, true
		}
	}
	return false, false
}
