package sqlmeta

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ddl is every other statement. One that is not known by name to change the
// schema is not understood.
func (r *run) ddl(n *pg.Node, s *Statement) {
	name := nodeName(n)
	if !strings.HasPrefix(name, "Create") && !strings.HasPrefix(name, "Alter") && !strings.HasPrefix(name, "Drop") && !otherDDL[name] {
		s.Action, s.Opaque = ActionUnknown, true
		r.risk(RiskUnparsed)
		return
	}
	s.Action = ActionDDL
	r.risk(RiskDDL)
	if risk, ok := ddlRisks[name]; ok {
		r.risk(risk)
	}
	if q := n.GetRenameStmt(); q.GetRelation() != nil && q.GetSubname() == "" {
		r.renamed(q.GetRelation(), q.GetNewname())
	}
	for _, c := range n.GetAlterTableStmt().GetCmds() {
		r.risk(alterTableRisks[c.GetAlterTableCmd().GetSubtype()]...)
	}
	r.relocate(n)
	r.asks(n, s)
	r.objects(n)
}

// nodeName is the name of a node's kind, as in PostgreSQL's parsenodes.h.
func nodeName(n *pg.Node) string {
	m := n.ProtoReflect()
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName("node"))
	if f == nil || f.Message() == nil {
		return ""
	}
	return string(f.Message().Name())
}

var otherDDL = map[string]bool{
	"CommentStmt": true, "SecLabelStmt": true, "DefineStmt": true, "IndexStmt": true, "RuleStmt": true,
	"RenameStmt": true, "ImportForeignSchemaStmt": true, "CompositeTypeStmt": true, "CreatedbStmt": true,
}

var ddlRisks = map[string]string{
	"CreateRoleStmt":               RiskPrivileges,
	"AlterRoleStmt":                RiskPrivileges,
	"AlterRoleSetStmt":             RiskPrivileges,
	"DropRoleStmt":                 RiskPrivileges,
	"AlterOwnerStmt":               RiskPrivileges,
	"CreatePolicyStmt":             RiskPrivileges,
	"AlterPolicyStmt":              RiskPrivileges,
	"AlterDatabaseSetStmt":         RiskServerControl,
	"CreateFunctionStmt":           RiskCode,
	"AlterFunctionStmt":            RiskCode,
	"CreateTrigStmt":               RiskCode,
	"CreateEventTrigStmt":          RiskCode,
	"AlterEventTrigStmt":           RiskCode,
	"RuleStmt":                     RiskCode,
	"CreateExtensionStmt":          RiskCode,
	"AlterExtensionStmt":           RiskCode,
	"AlterExtensionContentsStmt":   RiskCode,
	"CreatePLangStmt":              RiskCode,
	"CreateCastStmt":               RiskCode,
	"CreateTransformStmt":          RiskCode,
	"CreateRangeStmt":              RiskCode, // subtype_diff names a function
	"CreateOpClassStmt":            RiskCode,
	"CreateOpFamilyStmt":           RiskCode,
	"AlterOpFamilyStmt":            RiskCode,
	"AlterOperatorStmt":            RiskCode,
	"DefineStmt":                   RiskCode,
	"CreateFdwStmt":                RiskRemote,
	"AlterFdwStmt":                 RiskRemote,
	"CreateForeignServerStmt":      RiskRemote,
	"AlterForeignServerStmt":       RiskRemote,
	"CreateForeignTableStmt":       RiskRemote,
	"ImportForeignSchemaStmt":      RiskRemote,
	"CreateUserMappingStmt":        RiskRemote,
	"AlterUserMappingStmt":         RiskRemote,
	"CreateSubscriptionStmt":       RiskRemote,
	"AlterSubscriptionStmt":        RiskRemote,
	"CreatePublicationStmt":        RiskReplication,
	"AlterPublicationStmt":         RiskReplication,
	"CreateTableSpaceStmt":         RiskFileAccess,
	"AlterTableMoveAllStmt":        RiskServerControl,
	"AlterDatabaseRefreshCollStmt": RiskServerControl,
}

var alterTableRisks = map[pg.AlterTableType][]string{
	pg.AlterTableType_AT_ChangeOwner:        {RiskPrivileges},
	pg.AlterTableType_AT_EnableRowSecurity:  {RiskPrivileges},
	pg.AlterTableType_AT_DisableRowSecurity: {RiskPrivileges},
	pg.AlterTableType_AT_ForceRowSecurity:   {RiskPrivileges},
	pg.AlterTableType_AT_NoForceRowSecurity: {RiskPrivileges},
	pg.AlterTableType_AT_EnableTrig:         {RiskCode},
	pg.AlterTableType_AT_EnableAlwaysTrig:   {RiskCode},
	pg.AlterTableType_AT_EnableReplicaTrig:  {RiskCode},
	pg.AlterTableType_AT_DisableTrig:        {RiskCode},
	pg.AlterTableType_AT_EnableTrigAll:      {RiskCode},
	pg.AlterTableType_AT_DisableTrigAll:     {RiskCode},
	pg.AlterTableType_AT_EnableTrigUser:     {RiskCode},
	pg.AlterTableType_AT_DisableTrigUser:    {RiskCode},
	pg.AlterTableType_AT_EnableRule:         {RiskCode},
	pg.AlterTableType_AT_EnableAlwaysRule:   {RiskCode},
	pg.AlterTableType_AT_EnableReplicaRule:  {RiskCode},
	pg.AlterTableType_AT_DisableRule:        {RiskCode},
}

// objects notes what a statement about the schema names: relations, written;
// those inside a query, read; functions.
func (r *run) objects(n *pg.Node) {
	if d := n.GetDropStmt(); d != nil {
		r.dropped(d)
	}
	r.walk(n.ProtoReflect(), Write)
}

// renamed notes the name that a relation is given.
func (r *run) renamed(rv *pg.RangeVar, name string) {
	schema := rv.GetSchemaname()
	if old, known := r.catalog.Relation(r.searchPath, schema, rv.GetRelname()); known {
		schema = old.Schema
	}
	r.table(TableUse{schema, name, Write, false})
}

// dropped notes the relations that DROP names.
func (r *run) dropped(d *pg.DropStmt) {
	parent := 0 // names at the end that are not the relation's
	switch d.GetRemoveType() {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW,
		pg.ObjectType_OBJECT_FOREIGN_TABLE, pg.ObjectType_OBJECT_SEQUENCE:
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY:
		parent = 1
	default:
		return
	}
	for _, o := range d.GetObjects() {
		names := texts(o.GetList().GetItems())
		if len(names) <= parent {
			continue
		}
		names = names[:len(names)-parent]
		rv := &pg.RangeVar{Relname: names[len(names)-1]}
		if len(names) > 1 {
			rv.Schemaname = names[len(names)-2]
		}
		r.find(rv, Write)
	}
}

// walk looks through a parse tree without understanding it.
func (r *run) walk(m protoreflect.Message, access Access) {
	r.enter()
	defer r.leave()
	switch node := m.Interface().(type) {
	case *pg.RangeVar:
		switch {
		case node.GetRelname() == "":
		case node.GetRelpersistence() == "t":
			r.table(TableUse{"pg_temp", node.GetRelname(), access, false})
		default:
			r.find(node, access)
		}
		return
	case *pg.SelectStmt, *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt, *pg.TableLikeClause, *pg.Constraint:
		access = Read
	case *pg.FuncCall:
		if name, _ := lastName(node.GetFuncname()); name == "set_config" {
			r.setting(settingName(node, new(level)))
		}
		if v := r.apply(node, nil); len(v.from) > 0 { // what it reads comes back where nobody sees from where: a default, say
			r.risk(RiskOpaqueFunction)
		}
	case *pg.VariableSetStmt:
		r.setIn(node)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				r.walk(v.List().Get(i).Message(), access)
			}
		default:
			r.walk(v.Message(), access)
		}
		return true
	})
}
