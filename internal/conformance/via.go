package conformance

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// The forms in which a shape is sent.
const (
	viaSimple     = "simple"      // a Query each
	viaText       = "text"        // Parse, Bind, Describe, Execute; results as text
	viaBinary     = "binary"      // the same, results in binary
	viaBlind      = "blind"       // without Describe, results in binary
	viaPrepared   = "prepared"    // parsed by name, described, executed twice later
	viaPortal     = "portal"      // row by row from a portal
	viaCursor     = "cursor"      // DECLARE, FETCH
	viaCopy       = "copy"        // COPY (…) TO STDOUT
	viaCopyCSV    = "copy csv"    // the same, as CSV
	viaCopyBinary = "copy binary" // the same, in binary
	viaBatch      = "batch"       // all statements in one Query
	viaPipeline   = "pipeline"    // all statements before one Sync
	viaCall       = "call"        // FunctionCall
)

var allVias = []string{
	viaSimple, viaText, viaBinary, viaBlind, viaPrepared, viaPortal, viaCursor, viaCopy, viaCopyCSV, viaCopyBinary,
	viaBatch, viaPipeline, viaCall,
}

// round is what is sent before the answer is read.
type round []pgproto3.FrontendMessage

// rounds are the messages of a shape in one form. oid is that of the function that
// it calls.
func (s *Shape) rounds(via string, oid uint32) []round {
	switch via {
	case viaCall:
		return []round{{s.functionCall(oid)}}
	case viaCursor:
		return simple("BEGIN", "DECLARE walk SCROLL CURSOR FOR "+s.SQL[0], "FETCH 2 FROM walk", "FETCH ALL FROM walk", "COMMIT")
	case viaCopy:
		return simple(fmt.Sprintf("COPY (%s) TO STDOUT", s.SQL[0]))
	case viaCopyCSV:
		return simple(fmt.Sprintf("COPY (%s) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)", s.SQL[0]))
	case viaCopyBinary:
		return simple(fmt.Sprintf("COPY (%s) TO STDOUT (FORMAT binary)", s.SQL[0]))
	case viaBatch:
		return simple(strings.Join(s.SQL, ";\n"))
	case viaSimple:
		return simple(s.SQL...)
	case viaPipeline:
		var all round
		for i := range s.SQL {
			all = append(all, s.extended(i, "", 0, false, true)...)
		}
		return []round{append(all, &pgproto3.Sync{})}
	}
	var all []round
	for i := range s.SQL {
		all = append(all, s.step(i, via)...)
	}
	return all
}

func simple(statements ...string) []round {
	var all []round
	for _, sql := range statements {
		all = append(all, round{&pgproto3.Query{String: sql}})
	}
	return all
}

// step is one statement by the extended protocol.
func (s *Shape) step(i int, via string) []round {
	switch via {
	case viaText:
		return []round{append(s.extended(i, "", 0, true, true), &pgproto3.Sync{})}
	case viaBlind:
		return []round{append(s.extended(i, "", 1, false, true), &pgproto3.Sync{})}
	case viaPrepared:
		name := fmt.Sprintf("kept%d", i)
		bind := round{&pgproto3.Bind{PreparedStatement: name, Parameters: s.params(i), ResultFormatCodes: []int16{0}}, &pgproto3.Execute{}, &pgproto3.Sync{}}
		return []round{
			{&pgproto3.Parse{Name: name, Query: s.SQL[i]}, &pgproto3.Describe{ObjectType: 'S', Name: name}, &pgproto3.Sync{}},
			bind, bind,
			{&pgproto3.Close{ObjectType: 'S', Name: name}, &pgproto3.Sync{}},
		}
	case viaPortal:
		return []round{append(s.extended(i, "walk", 0, true, false),
			&pgproto3.Execute{Portal: "walk", MaxRows: 1}, &pgproto3.Execute{Portal: "walk", MaxRows: 2}, &pgproto3.Execute{Portal: "walk"}, &pgproto3.Sync{})}
	default:
		return []round{append(s.extended(i, "", 1, true, true), &pgproto3.Sync{})}
	}
}

func (s *Shape) extended(i int, portal string, format int16, describe, execute bool) round {
	all := round{&pgproto3.Parse{Query: s.SQL[i]}, &pgproto3.Bind{DestinationPortal: portal, Parameters: s.params(i), ResultFormatCodes: []int16{format}}}
	if describe {
		all = append(all, &pgproto3.Describe{ObjectType: 'P', Name: portal})
	}
	if execute {
		all = append(all, &pgproto3.Execute{Portal: portal})
	}
	return all
}

// params are those of the last statement.
func (s *Shape) params(i int) [][]byte {
	if i != len(s.SQL)-1 {
		return nil
	}
	var all [][]byte
	for _, p := range s.Params {
		all = append(all, []byte(p))
	}
	return all
}

func (s *Shape) functionCall(oid uint32) *pgproto3.FunctionCall {
	call := &pgproto3.FunctionCall{Function: oid, ArgFormatCodes: []uint16{0}}
	for _, p := range s.Params {
		call.Arguments = append(call.Arguments, []byte(p))
	}
	return call
}
