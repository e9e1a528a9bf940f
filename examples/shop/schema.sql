-- A small shop. Every person, number and card in it is generated.
CREATE TABLE customers (
    id         integer PRIMARY KEY,
    name       text        NOT NULL,
    ssn        text        NOT NULL UNIQUE,
    card       text        NOT NULL,
    email      text        NOT NULL UNIQUE,
    city       text        NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE products (
    id    integer PRIMARY KEY,
    name  text           NOT NULL UNIQUE,
    price numeric(10, 2) NOT NULL CHECK (price > 0)
);

CREATE TABLE orders (
    id         integer PRIMARY KEY,
    customer   integer     NOT NULL REFERENCES customers (id),
    status     text        NOT NULL CHECK (status IN ('paid', 'sent', 'returned')),
    note       text, -- what the staff typed, which holds what it should not
    created_at timestamptz NOT NULL
);

CREATE TABLE order_items (
    order_id integer        NOT NULL REFERENCES orders (id),
    line     integer        NOT NULL,
    product  integer        NOT NULL REFERENCES products (id),
    quantity integer        NOT NULL CHECK (quantity > 0),
    price    numeric(10, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);

CREATE INDEX ON orders (customer);
