package sqlmeta

import "slices"

// refs is a set of columns: sorted indexes into a refTable. It is never changed
// once made, so sets may share memory.
type refs []int32

// union is the set of all elements of both.
func (a refs) union(b refs) refs {
	if a.contains(b) {
		return a
	}
	if b.contains(a) {
		return b
	}
	out := make(refs, 0, len(a)+len(b))
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] < b[j]:
			out = append(out, a[i])
			i++
		case a[i] > b[j]:
			out = append(out, b[j])
			j++
		default:
			out = append(out, a[i])
			i++
			j++
		}
	}
	return append(append(out, a[i:]...), b[j:]...)
}

// contains says whether every element of b is in a.
func (a refs) contains(b refs) bool {
	if len(b) > len(a) {
		return false
	}
	i := 0
	for _, x := range b {
		for i < len(a) && a[i] < x {
			i++
		}
		if i == len(a) || a[i] != x {
			return false
		}
	}
	return true
}

// refTable gives every column that an analysis meets a number.
type refTable struct {
	numbers map[ColumnRef]int32
	columns []ColumnRef
}

func newRefTable() *refTable { return &refTable{numbers: map[ColumnRef]int32{}} }

func (t *refTable) number(c ColumnRef) int32 {
	n, ok := t.numbers[c]
	if !ok {
		n = int32(len(t.columns))
		t.numbers[c] = n
		t.columns = append(t.columns, c)
	}
	return n
}

// set makes a set of columns.
func (t *refTable) set(columns ...ColumnRef) refs {
	out := make(refs, 0, len(columns))
	for _, c := range columns {
		out = append(out, t.number(c))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// names is the columns of a set, sorted by name; nil for the empty set.
func (t *refTable) names(r refs) []ColumnRef {
	if len(r) == 0 {
		return nil
	}
	out := make([]ColumnRef, len(r))
	for i, n := range r {
		out[i] = t.columns[n]
	}
	slices.SortFunc(out, compareRefs)
	return out
}
