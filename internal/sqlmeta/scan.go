package sqlmeta

// maxScan bounds what PostgreSQL's scanner may do over again: about half a second.
const maxScan = 100_000_000

// scansTooLong says that the scanner would take too long over a text. It reads a
// run of operator characters to its end, puts back all but the first sign, and
// begins anew: a run of "+-+-" or "/*/*" costs the square of its length, and a
// sandbox cannot be stopped in the middle. (The server's own scanner does the
// same.) Runs count wherever they stand, in strings and comments too.
func scansTooLong(text string) bool {
	total, run := 0, 0
	for i := range len(text) {
		if isOperator[text[i]] {
			run++
			continue
		}
		if total += run * run; total > maxScan {
			return true
		}
		run = 0
	}
	return total+run*run > maxScan
}

// isOperator is the characters that operators are made of (op_chars in scan.l).
var isOperator = func() (set [256]bool) {
	for _, c := range "~!@#^&|`?+-*/%<>=" {
		set[c] = true
	}
	return set
}()
