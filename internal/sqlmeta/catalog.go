package sqlmeta

// Catalog is what a database holds. An implementation is an immutable snapshot,
// safe for concurrent use. It may also implement Revisioned (without it nothing
// is cached) and Routines (without it functions outside pg_catalog are unknown).
type Catalog interface {
	// Relation finds a relation by name. With schema "" the name is looked up
	// along searchPath as the server does: pg_catalog first where the path does
	// not list it. The elements of searchPath are schema names; "$user" is the
	// session's user.
	Relation(searchPath []string, schema, name string) (*Relation, bool)
	RelationByOID(oid uint32) (*Relation, bool)
}

// Revisioned is a Catalog whose content has a name: two catalogs of the same
// revision answer alike.
type Revisioned interface {
	Revision() string
}

// Routines is a Catalog that knows functions and composite types.
type Routines interface {
	// Routines returns every function of that name that a call could mean:
	// those of schema, or with schema "" those of all schemas of searchPath.
	// Functions that come with the server in pg_catalog need not be returned. Under
	// the name "operator +" it has those of the operators + that did not come with the
	// server, and under "cast T", in pg_catalog, those of casts to the type T. Under
	// "cast from T", and "cast from #OID" of the type, it has those that the server calls
	// without being told to.
	Routines(searchPath []string, schema, name string) []Routine
	// RelationByType finds the relation whose row type has this OID, composite
	// types included.
	RelationByType(typeOID uint32) (*Relation, bool)
}

// Functions is a Catalog that knows every function by its OID.
type Functions interface {
	Function(oid uint32) (Function, bool)
}

// Function is what pg_proc calls a function, and the types of its input arguments.
type Function struct {
	Schema, Name string
	Arguments    []uint32 // pg_proc.proargtypes
}

// Facts are what an operator says of a function: its result depends on its arguments
// and these columns, and on nothing else.
type Facts struct{ Reads []ColumnRef }

// Names are what an analysis rests on in a catalog: relations and functions that have one
// of these names, in whatever schema.
type Names struct{ Relations, Functions []string }

// Relation is a table, view, materialized view, foreign table, sequence or
// composite type.
type Relation struct {
	OID        uint32
	Schema     string
	Name       string
	Kind       string // pg_class.relkind: r p v m f S c
	Columns    []RelationColumn
	Definition string   // of a view: its SELECT, every name qualified; "" where it is not to be looked into
	Parents    []uint32 // pg_inherits: OIDs of the relations that this one inherits from or is a partition of
	Children   []uint32 // pg_inherits, the other way
	// Code says that the server may run code of users', which nothing is known of, when
	// this relation is written or read: triggers, rules, defaults, checks, policies.
	Code bool
}

// RelationColumn is a live column, in the order of attnum.
type RelationColumn struct {
	Name      string
	Num       int16  // pg_attribute.attnum
	TypeOID   uint32 // pg_attribute.atttypid
	TypeMod   int32  // pg_attribute.atttypmod
	Generated string // expression of a generated column, "" for others
}

// Routine is one function, procedure, aggregate or window function.
type Routine struct {
	OID        uint32
	Schema     string
	Name       string
	Kind       string // pg_proc.prokind: f p a w
	Language   string // pg_language.lanname
	Volatility string // pg_proc.provolatile: i s v
	ReturnsSet bool
	ReturnType uint32           // pg_proc.prorettype
	Outputs    []RelationColumn // OUT, INOUT and TABLE arguments, empty where the return type says it all
	Extension  string           // name of the extension that it belongs to, "" for none

	// Of a function in SQL that may be looked into: its body, the names of its input
	// arguments, the search path that it sets for itself (OwnPath), and whether every
	// name in the body has its schema (Qualified: pg_proc.prosqlbody as the server
	// writes it with an empty search path).
	Body       string
	Parameters []string
	Path       []string
	OwnPath    bool
	Qualified  bool

	Defaults string // of its arguments, as pg_get_expr writes them; "" for none
	Facts    *Facts // what the operator says of it, nil for nothing
}
