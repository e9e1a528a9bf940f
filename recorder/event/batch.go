package event

import "bytes"

// A batch is how events travel through the log: one canonical event a line.
// A canonical event has no line feed in it, so the lines are the events' exact
// bytes.

// LineEnd stands after each event of a batch.
const LineEnd = '\n'

// AppendLine appends an event's canonical bytes to a batch.
func AppendLine(batch, canonical []byte) []byte {
	return append(append(batch, canonical...), LineEnd)
}

// Lines calls f with the canonical bytes of each event of a batch, in order,
// and stops at the first error.
func Lines(batch []byte, f func(canonical []byte) error) error {
	for line := range bytes.Lines(batch) {
		if err := f(bytes.TrimSuffix(line, []byte{LineEnd})); err != nil {
			return err
		}
	}
	return nil
}
