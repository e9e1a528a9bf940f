package catalog

import "testing"

// A trigger that sets a time may run a function of users' that has the name of the server's.
func TestCodeByAnotherName(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	c := open(t, server)
	do(t, conn, `CREATE SCHEMA mine; CREATE TABLE mine.t (at timestamptz);
		CREATE FUNCTION mine.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
		CREATE TRIGGER touch BEFORE INSERT ON mine.t FOR EACH ROW EXECUTE FUNCTION mine.touch()`)
	for _, want := range []bool{false, true} {
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, ok := snapshot(t, c).Relation(nil, "mine", "t")
		if !ok || r.Code != want {
			t.Errorf("code: got %v, want %v", r, want)
		}
		do(t, conn, `CREATE OR REPLACE FUNCTION mine.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN PERFORM 1; RETURN NULL; END'`)
	}
}
