import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import org.postgresql.PGConnection;

/** What pgjdbc says in its conversation: libpq's environment variables tell where. */
class Pgjdbc {
    interface Step {
        void run() throws Exception;
    }

    /** Runs what may fail: the conversation goes on. */
    static void may(Step step) throws Exception {
        try {
            step.run();
        } catch (SQLException e) {
            // what the server says of it is in the conversation
        }
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE") + "?sslmode=disable&gssEncMode=disable";
        try (Connection c = DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD")); Statement s = c.createStatement()) {
            for (String text : new String[] {"select 1 as a, 'b', null", "select nosuch", "", "create temp table t (id int primary key, v text)", "select 1; select 1/0; select 2", "listen c"}) {
                may(() -> s.execute(text));
            }
            try (PreparedStatement p = c.prepareStatement("select ?::int + 1, ?")) {
                for (int i = 0; i < 7; i++) { // from the fifth on it has a name, and then binary results
                    p.setInt(1, i);
                    p.setString(2, "x");
                    p.executeQuery().close();
                }
            }
            try (PreparedStatement p = c.prepareStatement("insert into t values (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int i : new int[] {1, 2, 3, 1}) {
                    p.setInt(1, i);
                    p.setString(2, "v");
                    p.addBatch();
                }
                may(p::executeBatch);
            }
            c.setAutoCommit(false);
            s.setFetchSize(2);
            try (ResultSet r = s.executeQuery("select generate_series(1, 5)")) {
                while (r.next()) {
                    r.getInt(1);
                }
            }
            Savepoint inner = c.setSavepoint("inner");
            may(() -> s.execute("select 1/0"));
            may(() -> s.execute("select 'in a failed transaction'"));
            c.rollback(inner);
            c.commit();
            c.setAutoCommit(true);
            var copy = c.unwrap(PGConnection.class).getCopyAPI();
            copy.copyIn("copy t from stdin", new StringReader("20\tcopied\n"));
            may(() -> copy.copyIn("copy t from stdin", new StringReader("x\ty\n")));
            copy.copyOut("copy t to stdout", new StringWriter());
        }
    }
}
