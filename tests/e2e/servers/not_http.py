"""Servers of protocols that are not HTTP, one kind each: not_http.py KIND PORT SAVED [HTTP-PORT]. A PORT may be a path. At TERM they save their data, as such
servers do, and end."""
import os
import signal
import socket
import sys
import threading
import time

KIND, PORT, SAVED = sys.argv[1:4]
CHILDREN = []


def save(*_):
    for pid in CHILDREN:
        os.kill(pid, signal.SIGTERM)
    for pid in CHILDREN:
        os.waitpid(pid, 0)
    with open(SAVED, 'a', encoding='ascii') as f:
        f.write(f'{os.getpid()}\n')
    os._exit(0)


def lines(c):
    """PING: +PONG, as redis and memcached do."""
    while c.recv(99):
        c.sendall(b'+PONG\r\n')


def greets(c):
    """The server's word comes first: SMTP, MySQL, ssh."""
    c.sendall(b'220 here\r\n')
    while c.recv(99):
        c.sendall(b'250 ok\r\n')


def binary(c):
    """A length, then bytes: DNS, postgres, kafka."""
    while c.recv(99):
        c.sendall(b'\0\0\0\x0cR\0\0\0\x08\0\0\0')


def silent(c):
    """It only takes: graphite, syslog."""
    while c.recv(99):
        pass


def http(c):
    """/slow takes a second; what is no request is answered with 400."""
    head = b''
    while data := c.recv(999):
        head += data
        if not head.startswith(b'GET /') and b'\n' in head:
            c.sendall(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
            break
        if b'\r\n\r\n' in head:
            time.sleep(b'GET /slow' in head)
            c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
            head = b''
    c.close()


def listen(port):
    s = socket.socket(socket.AF_INET if port.isdigit() else socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', int(port)) if port.isdigit() else port)
    s.listen(64)
    return s


def threads(s, serve):
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()


def forks(s):
    while True:
        c = s.accept()[0]
        pid = os.fork()
        if pid == 0:
            CHILDREN.clear()
            s.close()
            lines(c)
            os._exit(0)
        CHILDREN.append(pid)
        c.close()


signal.signal(signal.SIGTERM, save)
if KIND == 'both':
    threading.Thread(target=threads, args=(listen(sys.argv[4]), http), daemon=True).start()
if KIND == 'forks':
    forks(listen(PORT))
threads(listen(PORT), lines if KIND == 'both' else globals()[KIND])
