-- A company's database: customers, staff, payments, a German and a Spanish branch, and
-- columns that only look like what they are not.
CREATE SCHEMA hr;
CREATE SCHEMA filiale;
CREATE SCHEMA tienda;
CREATE SCHEMA ops;

CREATE TABLE public.customers (
  id bigint PRIMARY KEY, name text, email varchar(200), phone text, ssn char(11), birth_date date, street text, city text, postal_code text,
  country char(2), created_at timestamptz, email_sent_at timestamptz, email_verified boolean, marketing_opt_in boolean, loyalty_level int,
  preferences jsonb, notes text
);
COMMENT ON COLUMN public.customers.loyalty_level IS 'from 1 to 5';
CREATE TABLE public.customers_backup_2023 (id bigint, c1 text, c2 text, c3 text);
CREATE TABLE public.orders (
  id bigint PRIMARY KEY, order_number text, customer_id bigint REFERENCES public.customers, status text, total numeric(10,2), currency char(3), placed_at timestamptz,
  tracking_number text, shipping_address text, ip_address inet, user_agent text
);
CREATE TABLE public.payments (
  id bigint PRIMARY KEY, order_id bigint REFERENCES public.orders, card_number text, card_type text, card_last4 char(4), card_expires text, cvv char(3), cardholder_name text,
  iban text, amount numeric(10,2), gateway_reference text, method text
);
CREATE TABLE public.products (id bigint PRIMARY KEY, name text, sku text, ean text, description text, price numeric(8,2), image_url text, version text);
CREATE TABLE public.sessions (id uuid PRIMARY KEY, user_id bigint, session_token text, jwt text, started_at timestamptz, last_ip text);
CREATE TABLE public.tickets (id bigint PRIMARY KEY, subject text, body text, opened_by text);
CREATE TABLE public.events (id bigint, at timestamptz NOT NULL, actor_email text, kind text, doc jsonb) PARTITION BY RANGE (at);
CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE public.events_2 PARTITION OF public.events FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
CREATE VIEW public.customer_list AS SELECT id, name, email AS contact, upper(ssn) AS number FROM public.customers;

CREATE TABLE hr.employees (
  emp_id int PRIMARY KEY, first_name text, "lastName" text, work_email text, base_salary numeric(10,2), gender char(1), religion text, tax_id text,
  password_hash text, manager_id int, department text, hired date, desk_location text, badge_number text
);
CREATE TABLE hr.c_levels (emp int, c17 text, note_code text);
COMMENT ON COLUMN hr.c_levels.c17 IS 'Social security number';

CREATE TABLE filiale.kunden (
  kdnr int PRIMARY KEY, vorname text, nachname text, geburtsdatum date, strasse text, plz text, ort text, telefonnummer text, steuer_id text, kontonummer text,
  iban text, kundenart text, rabatt int, letzte_bestellung date
);
CREATE TABLE filiale.bestellungen (bestellnummer text, kdnr int, artikel text, menge int, preis numeric(8,2), bemerkung text);

CREATE TABLE tienda.clientes (
  id int PRIMARY KEY, nombre text, apellidos text, dni text, correo_electronico text, "teléfono" text, direccion text, fecha_nacimiento date, contraseña text,
  numero_tarjeta text, tipo_cliente text, puntos int
);
CREATE TABLE tienda.productos (id int PRIMARY KEY, nombre text, precio numeric(8,2), descripcion text);

CREATE TABLE ops.services (id int PRIMARY KEY, name text, host_name text, bind_address text, api_key text, aws_secret text, version text, port int, checksum text);
CREATE TABLE ops.hidden (id int, secret_note text);
CREATE TABLE ops.measurements (sensor_id int, temperature double precision, pressure double precision, ean13 bigint, serial text, commit_hash text);

CREATE ROLE weir_reader LOGIN PASSWORD 'reader';
GRANT USAGE ON SCHEMA public, hr, filiale, tienda, ops TO weir_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, hr, filiale, tienda, ops TO weir_reader;
REVOKE ALL ON ops.hidden FROM weir_reader;
