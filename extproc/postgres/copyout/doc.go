// Package copyout masks columns of what COPY TO STDOUT delivers, in the formats
// text, csv and binary (PostgreSQL, COPY, "File Formats"). It knows where a row
// and a field end, and nothing of where a column comes from.
//
// It reads what the server writes and nothing more: what the server would not
// write like this is an error, and nothing of that row is delivered.
package copyout
