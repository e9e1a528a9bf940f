"""A client of libpq 18 that signs in by OAUTHBEARER.

    libpq_oauth.py LIBPQ CONNINFO SQL    the token stands in TOKEN

It prints where libpq was told to get a token, and then one value, or the error. The
hook that has the token is libpq's own (PQsetAuthDataHook), so that no browser and no
device flow is needed.
"""

import ctypes
import os
import sys

BEARER_TOKEN = 1  # PGauthData: PQAUTHDATA_OAUTH_BEARER_TOKEN


class Request(ctypes.Structure):  # PGoauthBearerRequest
    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("asynchronous", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    ]


token = os.environ["TOKEN"].encode()


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def give(kind, _, data):
    if kind != BEARER_TOKEN:
        return 0
    request = ctypes.cast(data, ctypes.POINTER(Request)).contents
    print("ask", request.openid_configuration.decode(), (request.scope or b"").decode(), flush=True)
    request.token = token
    return 1


def main():
    libpq = ctypes.CDLL(sys.argv[1])
    for name in ("PQconnectdb", "PQexec"):
        getattr(libpq, name).restype = ctypes.c_void_p
    for name in ("PQgetvalue", "PQerrorMessage"):
        getattr(libpq, name).restype = ctypes.c_char_p
    libpq.PQsetAuthDataHook(give)
    conn = ctypes.c_void_p(libpq.PQconnectdb(sys.argv[2].encode()))
    if libpq.PQstatus(conn) != 0:
        print("error", libpq.PQerrorMessage(conn).decode())
        return
    result = ctypes.c_void_p(libpq.PQexec(conn, sys.argv[3].encode()))
    value = libpq.PQgetvalue(result, 0, 0)
    print("value", value.decode() if value is not None else libpq.PQerrorMessage(conn).decode())


main()
