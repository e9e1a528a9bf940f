package sqlmeta

import "cmp"

func compareRefs(a, b ColumnRef) int {
	return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Column, b.Column))
}

func compareTables(a, b TableUse) int {
	return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Access, b.Access))
}

func compareUses(a, b ColumnUse) int {
	return cmp.Or(compareRefs(a.ColumnRef, b.ColumnRef), cmp.Compare(a.Use, b.Use))
}
