import java.io.StringReader;
import java.io.StringWriter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** What pgjdbc can do. It prints JSON lines: see ../python/transcript.py. */
public class DrivePgjdbc {
  static final String SCHEMA = "drive_pgjdbc";
  static boolean failed;
  static List<String> notes;

  interface Body {
    void run() throws Exception;
  }

  static void step(String name, Body body) {
    step(name, false, body);
  }

  /** Runs a step; fails says that it must end with an SQLException. */
  static void step(String name, boolean fails, Body body) {
    notes = new ArrayList<>();
    String error = "";
    try {
      body.run();
      if (fails) {
        failed = true;
        error = ", \"unexpected\": \"it did not fail\"";
      }
    } catch (Exception e) {
      error = ", \"error\": " + fields(e);
      if (!fails) {
        failed = true;
        error += ", \"unexpected\": " + quote(Arrays.toString(Arrays.copyOf(e.getStackTrace(), 6)));
      }
    }
    System.out.println("{\"step\": " + quote(name) + error + ", \"got\": [" + String.join(", ", notes) + "]}");
  }

  static void note(Object... values) throws Exception {
    for (Object v : values) notes.add(plain(v));
  }

  static String fields(Throwable e) {
    StringBuilder b = new StringBuilder("{\"type\": " + quote(e.getClass().getSimpleName()));
    if (e instanceof PSQLException p && p.getServerErrorMessage() != null) {
      ServerErrorMessage m = p.getServerErrorMessage();
      Object[] all = {"severity", m.getSeverity(), "sqlstate", m.getSQLState(), "message", m.getMessage(), "detail", m.getDetail(), "hint", m.getHint(),
        "where", m.getWhere(), "position", m.getPosition(), "internal", m.getInternalQuery(), "at", m.getInternalPosition(), "schema", m.getSchema(), "table", m.getTable(),
        "column", m.getColumn(), "datatype", m.getDatatype(), "constraint", m.getConstraint(), "file", m.getFile(), "line", m.getLine(), "routine", m.getRoutine()};
      for (int i = 0; i < all.length; i += 2) if (all[i + 1] != null) b.append(", \"" + all[i] + "\": " + quote(all[i + 1].toString()));
    } else {
      b.append(", \"message\": " + quote(String.valueOf(e.getMessage())));
      if (e instanceof SQLException s) b.append(", \"sqlstate\": " + quote(String.valueOf(s.getSQLState())));
    }
    return b.append("}").toString();
  }

  static String plain(Object v) throws Exception {
    if (v == null) return "null";
    if (v instanceof ResultSet rs) return rows(rs);
    if (v instanceof String s) return quote(s.length() < 2000 ? s : s.length() + " characters, " + digest(s.getBytes(StandardCharsets.UTF_8)));
    if (v instanceof byte[] b) return quote(b.length < 300 ? "bytes " + HexFormat.of().formatHex(b) : b.length + " bytes, " + digest(b));
    if (v instanceof Array a) return plain(a.getArray());
    if (v instanceof int[] a) return Arrays.toString(a);
    if (v instanceof Object[] a) {
      List<String> out = new ArrayList<>();
      for (Object x : a) out.add(plain(x));
      return out.toString();
    }
    if (v instanceof Collection<?> c) return plain(c.toArray());
    if (v instanceof SQLXML x) return quote("xml " + x.getString());
    if (v instanceof PGobject o) return quote(o.getType() + " " + o.getValue());
    if (v instanceof Boolean || v instanceof Integer) return v.toString();
    return quote(v.getClass().getSimpleName() + " " + v);
  }

  static String rows(ResultSet rs) throws Exception {
    List<String> out = new ArrayList<>();
    int n = rs.getMetaData().getColumnCount();
    while (rs.next()) {
      List<String> row = new ArrayList<>();
      for (int i = 1; i <= n; i++) row.add(plain(rs.getObject(i)));
      out.add(row.toString());
    }
    rs.close();
    return out.toString();
  }

  static String quote(String s) {
    StringBuilder b = new StringBuilder("\"");
    for (char c : s.toCharArray()) {
      if (c == '"' || c == '\\') b.append('\\').append(c);
      else if (c < ' ') b.append(String.format("\\u%04x", (int) c));
      else b.append(c);
    }
    return b.append('"').toString();
  }

  static String digest(byte[] b) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(b)).substring(0, 16);
  }

  static Connection connect(String... more) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", System.getenv("PGPASSWORD"));
    p.setProperty("sslmode", "verify-full");
    p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    p.setProperty("currentSchema", SCHEMA + ",public");
    p.setProperty("ApplicationName", "drive");
    String database = System.getenv("PGDATABASE");
    for (int i = 0; i < more.length; i += 2) {
      if (more[i].equals("database")) database = more[i + 1];
      else p.setProperty(more[i], more[i + 1]);
    }
    return DriverManager.getConnection("jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/" + database, p);
  }

  static ResultSet ask(Connection c, String text, Object... args) throws SQLException {
    PreparedStatement s = c.prepareStatement(text);
    s.closeOnCompletion();
    for (int i = 0; i < args.length; i++) s.setObject(i + 1, args[i]);
    return s.executeQuery();
  }

  static void run(Connection c, String text) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(text);
    }
  }

  static final String[][] LITERALS = {
    {"bool", "t"}, {"\"char\"", "x"}, {"name", "weir"}, {"text", "Grüße, 世界 \ud83d\ude00 ' \" \\ \t"}, {"varchar(5)", "abc"}, {"bpchar(5)", "abc"}, {"int2", "-32768"}, {"int4", "2147483647"},
    {"int8", "-9223372036854775808"}, {"oid", "4294967295"}, {"float4", "3.4028235e38"}, {"float8", "1.7976931348623157e308"}, {"float8", "NaN"}, {"float8", "-Infinity"},
    {"numeric", "99999999999999999999.999999999999999999"}, {"numeric(10,2)", "1.50"}, {"numeric", "NaN"}, {"money", "12.34"}, {"bytea", "\\x00ff10"}, {"date", "2026-02-28"}, {"date", "infinity"},
    {"time", "23:59:59.999999"}, {"timetz", "12:00:00+05:30"}, {"timestamp", "2026-02-28 12:34:56.789012"}, {"timestamptz", "2026-02-28 12:34:56.789012+00"}, {"interval", "1 year 2 mons 3 days 04:05:06.789"},
    {"uuid", "00112233-4455-6677-8899-aabbccddeeff"}, {"json", "{\"a\": [1, null]}"}, {"jsonb", "{\"b\": 1.50}"}, {"xml", "<a>b</a>"}, {"inet", "192.168.0.1/24"}, {"cidr", "10.0.0.0/8"}, {"bit(5)", "10101"}, {"varbit", "1"},
    {"point", "(1.5,-2)"}, {"line", "{1,2,3}"}, {"lseg", "[(0,0),(1,1)]"}, {"box", "(1,1),(0,0)"}, {"path", "((0,0),(1,1))"}, {"polygon", "((0,0),(1,1),(2,0))"}, {"circle", "<(1,2),3>"}, {"tsvector", "'a':1"},
    {"int4range", "[1,10)"}, {"int4multirange", "{[1,3),[5,8)}"}, {"int4[]", "{1,NULL,3}"}, {"int4[]", "{{1,2},{3,4}}"}, {"text[]", "{\"a,b\",NULL}"}, {"numeric[]", "{1.5}"}, {"float8[]", "{1.5,NaN}"}, {"bytea[]", "{\"\\\\x00ff\"}"},
    {"uuid[]", "{00112233-4455-6677-8899-aabbccddeeff}"}, {"timestamptz[]", "{\"2026-01-01 00:00+00\"}"}, {"pg_lsn", "16/B374D848"}, {"tid", "(0,1)"}, {"xid8", "5"}, {"regclass", "pg_class"}, {"int2vector", "1 2"},
  };

  static void connecting() {
    step("the connection", () -> {
      try (Connection c = connect()) {
        DatabaseMetaData m = c.getMetaData();
        note(m.getDatabaseProductVersion(), m.getDatabaseMajorVersion(), c.getCatalog().equals(System.getenv("PGDATABASE")), c.getSchema(), c.getTransactionIsolation(), c.isReadOnly(), c.isValid(5));
        Map<String, String> status = new TreeMap<>(c.unwrap(PGConnection.class).getParameterStatuses());
        status.remove("session_authorization");
        note(status.toString());
        note(ask(c, "select pg_backend_pid() = ?, current_user = session_user", c.unwrap(PGConnection.class).getBackendPID()));
      }
    });
    String[][] bad = {{"options", "-c no_such_setting=1"}, {"options", "-c statement_timeout=soon"}, {"database", "no_such_database"}, {"currentSchema", "no,such"}, {"channelBinding", "disable"},
      {"sslNegotiation", "direct"}, {"gssEncMode", "disable"}, {"readOnly", "true"}, {"preferQueryMode", "simple"}, {"assumeMinServerVersion", "9.4"}};
    for (int i = 0; i < bad.length; i++) {
      String[] one = bad[i];
      step("connect with " + one[0] + "=" + one[1], i < 3, () -> {
        try (Connection c = connect(one)) {
          note(ask(c, "select ?::int", 1));
        }
      });
    }
  }

  static void types(Connection c) {
    for (String[] l : LITERALS) {
      step("type " + l[0] + ": " + l[1], () -> {
        try (PreparedStatement s = c.prepareStatement("select ?::text::" + l[0] + " as v, null::" + l[0] + " as n")) {
          s.unwrap(org.postgresql.PGStatement.class).setPrepareThreshold(-1); // binary at once
          for (int i = 0; i < 2; i++) {
            s.setString(1, l[1]);
            ResultSet rs = s.executeQuery();
            ResultSetMetaData m = rs.getMetaData();
            note(m.getColumnTypeName(1), m.getColumnType(1), m.getPrecision(1), m.getScale(1), m.getColumnDisplaySize(1), rs);
            try (ResultSet again = s.executeQuery()) {
              again.next();
              if (!l[0].equals("bytea")) note(again.getString(1));
            }
          }
        }
      });
    }
    step("values", () -> {
      note(ask(c, "select ?, ?, ?, ?, ?, ?, ?, ?, ?", 1, 2L, 1.5, new BigDecimal("1.50"), "é ' \\", true, new byte[] {0, -1}, UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"), LocalDate.of(2026, 1, 2)));
      note(ask(c, "select ?, ?", c.createArrayOf("int4", new Integer[] {1, null}), OffsetDateTime.parse("2026-01-01T00:00:00Z")));
      try (PreparedStatement s = c.prepareStatement("select ?::int, ?::text, ?::jsonb, ?::timestamp")) {
        s.setNull(1, Types.INTEGER);
        s.setCharacterStream(2, new StringReader("stream é"));
        s.setObject(3, "{\"a\": 1}", Types.OTHER);
        s.setTimestamp(4, Timestamp.valueOf("2026-01-02 03:04:05.678"));
        ParameterMetaData m = s.getParameterMetaData();
        note(m.getParameterCount(), m.getParameterTypeName(3), m.getParameterClassName(4), s.getMetaData().getColumnTypeName(3), s.executeQuery());
      }
    });
  }

  static void statements(Connection c) throws SQLException {
    run(c, "create table stat (id serial primary key, v text unique, n numeric(8,2) default 1, born date)");
    step("batches", () -> {
      try (PreparedStatement s = c.prepareStatement("insert into stat (v) values (?)", Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 0; i < 1500; i++) {
          s.setString(1, "v" + i);
          s.addBatch();
        }
        note(Arrays.stream(s.executeBatch()).sum());
        try (ResultSet keys = s.getGeneratedKeys()) {
          int n = 0;
          while (keys.next()) n += keys.getInt(1);
          note(n);
        }
      }
      try (Statement s = c.createStatement()) {
        s.addBatch("update stat set n = 2 where id < 5");
        s.addBatch("delete from stat where id = 1");
        note(s.executeBatch());
      }
    });
    step("a batch of which one fails", true, () -> {
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("insert into stat (v) values (?)")) {
        for (int i = 0; i < 300; i++) {
          s.setString(1, i == 200 ? "v7" : "w" + i);
          s.addBatch();
        }
        try {
          s.executeBatch();
        } catch (BatchUpdateException e) {
          note(e.getUpdateCounts());
          throw e.getNextException();
        }
      } finally {
        c.rollback();
        c.setAutoCommit(true);
      }
    });
    step("several statements", () -> {
      try (Statement s = c.createStatement()) {
        boolean rows = s.execute("select 1; update stat set n = 3 where id = 2; select 2, 'x'; delete from stat where id = 3");
        for (; rows || s.getUpdateCount() != -1; rows = s.getMoreResults()) note(rows ? s.getResultSet() : s.getUpdateCount());
      }
      try (PreparedStatement s = c.prepareStatement("select ?::int; select ?::text; select 3")) {
        s.setInt(1, 1);
        s.setString(2, "two");
        for (boolean rows = s.execute(); rows; rows = s.getMoreResults()) note(s.getResultSet());
      }
    });
    step("a prepared statement and DDL", () -> {
      try (PreparedStatement s = c.prepareStatement("select * from stat where id = ?")) {
        for (int i = 0; i < 12; i++) {
          s.setInt(1, 5);
          note(s.executeQuery());
          if (i == 7) run(c, "alter table stat add extra int default 9");
          if (i == 9) run(c, "alter table stat alter n type text");
        }
      }
    });
    step("a prepared statement and DDL in a transaction", () -> {
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("select * from stat where id = ?")) {
        for (int i = 0; i < 8; i++) {
          s.setInt(1, 6);
          s.executeQuery().close();
        }
        run(c, "alter table stat drop extra");
        note(s.executeQuery());
      } finally {
        c.rollback();
        c.setAutoCommit(true);
      }
    });
    step("fetch size", () -> {
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("select id, v from stat order by id")) {
        s.setFetchSize(100);
        ResultSet rs = s.executeQuery();
        int n = 0;
        while (rs.next()) {
          n += rs.getInt(1);
          if (n % 500 == 0) note(ask(c, "select 1"));
        }
        note(n);
        s.setMaxRows(7);
        note(s.executeQuery());
      }
      c.commit();
      c.setAutoCommit(true);
    });
    step("a result that is scrolled and changed", () -> {
      try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
        ResultSet rs = s.executeQuery("select id, v from stat where id between 10 and 14 order by id");
        rs.last();
        note(rs.getRow(), rs.getInt(1));
        rs.absolute(2);
        rs.updateString("v", "changed");
        rs.updateRow();
        rs.first();
        rs.deleteRow();
        rs.moveToInsertRow();
        rs.updateString("v", "inserted");
        rs.insertRow();
        rs.close();
        note(ask(c, "select v from stat where id in (10, 11) or v = 'inserted'"));
      }
    });
    step("functions", () -> {
      run(c, "create function add(a int, b int, out s int, out t text) language plpgsql as $$ begin s := a + b; t := 'é'; end $$");
      try (CallableStatement s = c.prepareCall("{call add(?, ?, ?, ?)}")) {
        s.setInt(1, 1);
        s.setInt(2, 2);
        s.registerOutParameter(3, Types.INTEGER);
        s.registerOutParameter(4, Types.VARCHAR);
        s.execute();
        note(s.getInt(3), s.getString(4));
      }
      run(c, "create procedure proc(inout x int) language plpgsql as $$ begin x := x * 2; end $$");
      try (CallableStatement s = c.prepareCall("call proc(?)")) {
        s.setInt(1, 21);
        s.registerOutParameter(1, Types.INTEGER);
        s.execute();
        note(s.getInt(1));
      }
      run(c, "create function opens() returns refcursor language plpgsql as $$ declare r refcursor; begin open r for select generate_series(1, 3); return r; end $$");
      c.setAutoCommit(false);
      try (CallableStatement s = c.prepareCall("{? = call opens()}")) {
        s.registerOutParameter(1, Types.REF_CURSOR);
        s.execute();
        note((ResultSet) s.getObject(1));
      }
      c.commit();
      c.setAutoCommit(true);
    });
    step("large values and many rows", () -> {
      String text = "é".repeat(400_000);
      try (ResultSet rs = ask(c, "select ?::text, ?::bytea", text, new byte[1 << 20])) {
        rs.next();
        note(rs.getString(1).equals(text), rs.getBytes(2).length);
      }
      note(digest(rows(ask(c, "select i, i::text, i * 1.5 from generate_series(1, 20000) i")).getBytes(StandardCharsets.UTF_8)));
    });
    for (String text : new String[] {"selec 1", "select * from nowhere", "select nothing", "insert into stat (v) values ('v9')", "select 1/0", "select 'é' || nothing", "set nothing = 1", "select 1 +",
      "do $$ begin raise exception 'mine' using errcode = 'WX001', detail = 'D', hint = 'H'; end $$", "insert into stat (id) values (null)"}) {
      step("error: " + text, true, () -> ask(c, text));
    }
    step("warnings", () -> {
      try (Statement s = c.createStatement()) {
        s.execute("do $$ begin raise notice 'one'; raise warning 'two' using hint = 'H'; end $$");
        for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) note(w.getMessage(), w.getSQLState());
      }
    });
  }

  static void metadata(Connection c) throws SQLException {
    run(c, "create table parent (a int, b text not null, c numeric(10,2) default 1.5, primary key (a, b)); comment on table parent is 'é'; create table child (x int generated always as identity primary key, a int, b text, foreign key (a, b) references parent on delete cascade); create index child_b on child (lower(b)); create view seen as select * from parent; create type mood as enum ('a'); create sequence seq; create table parts (a int) partition by range (a); create domain dom as int");
    DatabaseMetaData m = c.getMetaData();
    step("catalogs and schemas", () -> note(m.getSchemas(null, SCHEMA), m.getTableTypes(), m.getTables(null, SCHEMA, "%", null)));
    step("columns", () -> note(m.getColumns(null, SCHEMA, "%", "%"), m.getVersionColumns(null, SCHEMA, "parent"), m.getBestRowIdentifier(null, SCHEMA, "parent", 1, true)));
    step("keys", () -> note(m.getPrimaryKeys(null, SCHEMA, "parent"), m.getImportedKeys(null, SCHEMA, "child"), m.getExportedKeys(null, SCHEMA, "parent"), m.getCrossReference(null, SCHEMA, "parent", null, SCHEMA, "child")));
    step("indexes", () -> note(m.getIndexInfo(null, SCHEMA, "child", false, true)));
    step("functions and types", () -> note(m.getFunctions(null, SCHEMA, "%"), m.getProcedures(null, SCHEMA, "%"), m.getProcedureColumns(null, SCHEMA, "%", "%"), m.getUDTs(null, SCHEMA, "%", null)));
    step("what there is", () -> note(m.getTypeInfo().getMetaData().getColumnCount(), digest(m.getSQLKeywords().getBytes()), m.getMaxColumnNameLength(), m.getMaxConnections() > 0, m.supportsTransactions(), m.getTables(null, "information_schema", "tables", null)));
  }

  static void copies(Connection c) throws SQLException {
    run(c, "create table copied (a int, b text)");
    CopyManager m = c.unwrap(PGConnection.class).getCopyAPI();
    step("COPY", () -> {
      StringBuilder b = new StringBuilder();
      for (int i = 0; i < 5000; i++) b.append(i).append("\té").append(i).append('\n');
      note(m.copyIn("copy copied from stdin", new StringReader(b.toString())));
      for (String form : new String[] {"text", "csv", "binary"}) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        note(m.copyOut("copy (select * from copied order by a) to stdout (format " + form + ")", out), out.toByteArray());
        if (form.equals("binary")) note(m.copyIn("copy copied from stdin (format binary)", new ByteArrayInputStream(out.toByteArray())));
      }
    });
    step("COPY with a bad row", true, () -> m.copyIn("copy copied from stdin", new StringReader("1\tx\nno\ty\n")));
    step("COPY given up", () -> {
      var in = m.copyIn("copy copied from stdin");
      in.writeToCopy("1\tx\n".getBytes(), 0, 4);
      in.cancelCopy();
      note(in.isActive(), ask(c, "select count(*) from copied"));
    });
    step("COPY out left early", () -> {
      try (Connection d = connect()) { // the cancel may also meet what comes next
        var out = d.unwrap(PGConnection.class).getCopyAPI().copyOut("copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout");
        note(out.readFromCopy().length);
        out.cancelCopy();
      }
    });
    step("COPY out that fails half way", true, () -> m.copyOut("copy (select 1/(2000-i) from generate_series(1, 4000) i) to stdout", new StringWriter()));
  }

  static void largeObjects(Connection c) throws SQLException {
    c.setAutoCommit(false);
    step("large objects, by function calls", () -> {
      LargeObjectManager m = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long oid = m.createLO();
      try (LargeObject o = m.open(oid, LargeObjectManager.READWRITE)) {
        o.write(new byte[300_000]);
        o.seek(10);
        o.write("weir".getBytes());
        o.seek(8);
        note(o.read(8), o.tell(), o.size());
        o.truncate(12);
        note(o.size());
        o.seek64(0, LargeObject.SEEK_SET);
        note(o.getInputStream().readAllBytes());
      }
      m.unlink(oid);
      c.commit();
    });
    step("a large object that is not there", true, () -> {
      try {
        c.unwrap(PGConnection.class).getLargeObjectAPI().open(1L, LargeObjectManager.READ);
      } finally {
        c.rollback();
      }
    });
    c.setAutoCommit(true);
  }

  static void transactions(Connection c) throws SQLException {
    run(c, "create table tx (a int primary key check (a < 100))");
    step("savepoints", () -> {
      c.setAutoCommit(false);
      run(c, "insert into tx values (1)");
      Savepoint s = c.setSavepoint("s");
      for (int bad : new int[] {1, 100}) {
        try {
          run(c, "insert into tx values (" + bad + ")");
        } catch (SQLException e) {
          notes.add(fields(e));
        }
        c.rollback(s);
      }
      c.releaseSavepoint(s);
      c.commit();
      note(ask(c, "select * from tx"));
      c.rollback();
    });
    step("a failed transaction", true, () -> {
      try {
        run(c, "select 1/0");
      } catch (SQLException e) {
        note(e.getSQLState());
      }
      try {
        ask(c, "select 1");
      } finally {
        c.rollback();
      }
    });
    step("isolation", () -> {
      for (int level : new int[] {1, 2, 4, 8}) {
        c.setTransactionIsolation(level);
        c.setReadOnly(level == 4);
        note(ask(c, "select current_setting('transaction_isolation'), current_setting('transaction_read_only')"), c.getTransactionIsolation());
        c.rollback();
      }
      c.setReadOnly(false);
      c.setTransactionIsolation(2);
      c.setAutoCommit(true);
    });
    step("autosave", () -> {
      try (Connection d = connect("autosave", "always")) {
        d.setAutoCommit(false);
        run(d, "insert into tx values (2)");
        try {
          run(d, "insert into tx values (2)");
        } catch (SQLException e) {
          note(e.getSQLState());
        }
        d.commit();
        note(ask(d, "select a from tx where a = 2"));
      }
    });
    step("two phases", () -> {
      c.setAutoCommit(false);
      run(c, "insert into tx values (3)");
      run(c, "prepare transaction 'drive-jdbc'");
      c.setAutoCommit(true);
      run(c, "commit prepared 'drive-jdbc'");
      note(ask(c, "select count(*) from tx"));
    });
    step("a query that takes too long", true, () -> {
      try (Statement s = c.createStatement()) {
        s.setQueryTimeout(1);
        s.executeQuery("select pg_sleep(60)");
      }
    });
    step("cancel", true, () -> {
      try (Statement s = c.createStatement(); Connection other = connect()) {
        int pid = c.unwrap(PGConnection.class).getBackendPID();
        Thread t = new Thread(() -> {
          try {
            while (!ask(other, "select 1 from pg_stat_activity where pid = ? and state = 'active' and query like '%pg_sleep(67)%'", pid).next());
            s.cancel();
          } catch (SQLException e) {
            throw new IllegalStateException(e);
          }
        });
        t.start();
        try {
          s.executeQuery("select pg_sleep(67)");
        } finally {
          t.join();
        }
      }
    });
    step("the session goes on", () -> note(ask(c, "select 1")));
    step("LISTEN and NOTIFY", () -> {
      run(c, "listen drive");
      try (Connection other = connect()) {
        run(other, "notify drive, 'é'");
        run(other, "notify drive");
        int n = 0;
        while (n < 2) {
          for (var one : c.unwrap(PGConnection.class).getNotifications(20000)) {
            note(one.getName(), one.getParameter(), one.getPID() == other.unwrap(PGConnection.class).getBackendPID());
            n++;
          }
        }
      }
      run(c, "unlisten *");
    });
    step("client info and schema", () -> {
      c.setClientInfo("ApplicationName", "another");
      c.setSchema("pg_catalog");
      note(ask(c, "select current_setting('application_name'), current_schema()"), c.getSchema());
      c.setSchema(SCHEMA);
    });
    step("ended by another", true, () -> {
      try (Connection victim = connect()) {
        ask(c, "select pg_terminate_backend(?, 20000)", victim.unwrap(PGConnection.class).getBackendPID()).close();
        run(victim, "select 1");
      }
    });
    for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
      step("query mode " + mode, () -> {
        try (Connection d = connect("preferQueryMode", mode, "reWriteBatchedInserts", "true", "binaryTransfer", "true")) {
          for (int i = 0; i < 7; i++) note(ask(d, "select ?::int + 1, ?::text", i, "é ' \\"));
          try (PreparedStatement s = d.prepareStatement("insert into tx values (?)")) {
            for (int i = 10; i < 60; i++) {
              s.setInt(1, i);
              s.addBatch();
            }
            note(s.executeBatch().length);
          }
          run(d, "delete from tx where a >= 10; select 1");
        }
      });
    }
  }

  public static void main(String[] args) throws Exception {
    System.setOut(new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, "UTF-8"));
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    Locale.setDefault(Locale.ROOT);
    connecting();
    try (Connection c = connect()) {
      run(c, "drop schema if exists " + SCHEMA + " cascade; create schema " + SCHEMA);
      types(c);
      statements(c);
      metadata(c);
      copies(c);
      largeObjects(c);
      transactions(c);
      run(c, "drop schema " + SCHEMA + " cascade");
    }
    System.exit(failed ? 1 : 0);
  }
}
