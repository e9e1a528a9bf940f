package sqlmeta

// Analysis is what a text means. It is shared between sessions: never change it.
type Analysis struct {
	Statements []Statement // in order; none for a text without a statement
}

// Statement is one statement of a text.
type Statement struct {
	Text        string // exactly as sent
	Action      string // see Actions in actions.go; "unknown" where it is not understood
	Fingerprint string // equal for statements that differ only in constants
	Tables      []TableUse
	Columns     []ColumnUse
	// Outputs has one entry per result column, in order. It is nil where the
	// statement returns no rows, and where the shape is unknown (then Opaque).
	Outputs   []Output
	Functions []string // "schema.name", or "name" where it could not be found
	// Beneath are the functions that views and generated columns call, but for the
	// server's own.
	Beneath []string
	Risks   []string // see risks.go
	// Sought are the operators and casts that it uses, by the names that Routines has
	// them under: who makes one of these changes what the statement means.
	Sought []string
	// Code says that the server runs code of users' for it which it does not name: the
	// triggers, rules, defaults, checks or policies of a relation.
	Code bool
	// Settings are the settings that it changes, in lower case; AnySetting where
	// it is not known before it runs which. What resets all of them changes none.
	Settings []string
	// Opaque says that the outputs, or the sources of one of them, could not be
	// traced: where any class of the target is masked, no row may be delivered.
	Opaque  bool
	Prepare *Prepare // set for statements about a prepared statement or cursor
	Flows   []Flow   // which columns were written from which columns
	CopyOut *CopyOut // of COPY TO STDOUT, nil where its options are not understood
}

// AnySetting stands for a setting whose name is not known before it is changed.
const AnySetting = "?"

// Access says what a statement does with a relation.
type Access string

// The kinds of access.
const (
	Read  Access = "read"
	Write Access = "write"
)

// TableUse is a relation that a statement touches; one that is both read and
// written is listed twice.
type TableUse struct {
	Schema string // as written where the relation is not known
	Name   string
	Access Access
	Known  bool // false: the catalog does not have it
}

// ColumnRef names a column.
type ColumnRef struct {
	Schema, Table, Column string
}

// Use says what a statement does with a column.
type Use string

// The uses of a column.
const (
	UseOutput  Use = "output"  // delivered unchanged
	UseDerived Use = "derived" // its value goes into an expression
	// UseFallible is said beside another use: whether the statement fails may depend
	// on the value (failing.go).
	UseFallible Use = "fallible"
	// UseFilter is WHERE, ON, USING, HAVING, LIMIT, FILTER, and the arguments of
	// functions that return sets; a condition that rows which are there are tried by.
	UseFilter Use = "filter"
	UseOrder  Use = "order" // ORDER BY, also of a window or an aggregate; an index
	UseGroup  Use = "group" // GROUP BY, DISTINCT, PARTITION BY, set operations, count(DISTINCT …); a unique index
	// UseOwnerFilter is a filter, order or group within the definition of a view or of
	// a generated column: not the asker's doing.
	UseOwnerFilter Use = "owner_filter"
	UseWrite       Use = "write"
)

// ColumnUse is one use of a column; a column may have several.
type ColumnUse struct {
	ColumnRef
	Use Use
}

// Output is one column of a result.
type Output struct {
	Name string
	// Direct says that the value is an unchanged base column. Sources then
	// holds this column, and the columns of views and parent tables that it was
	// read through.
	Direct  bool
	Sources []ColumnRef // every column that the value depends on
	Opaque  bool        // Sources may lack something
	// Relation and Column are what the server puts into RowDescription (table
	// OID and attribute number), both 0 where the column is not one of a table.
	Relation uint32
	Column   int16
}

// Flow says that a column was written from others.
type Flow struct {
	To   ColumnRef
	From []ColumnRef
}

// The kinds of Prepare.
const (
	PreparePrepare    = "prepare"
	PrepareExecute    = "execute"
	PrepareDeallocate = "deallocate"
	PrepareDeclare    = "declare"
	PrepareFetch      = "fetch" // MOVE too, which returns no rows
	PrepareClose      = "close"
)

// Prepare is a statement about a prepared statement or a cursor of the session.
// An execute or fetch is Opaque here: only the session knows what the name
// stands for.
type Prepare struct {
	Kind  string
	Name  string     // "" with deallocate and close: all
	Inner *Statement // of prepare and declare
}
