"""Servers that are drained externally, as far as that differs: nobody can be told to close. Whoever asks again and again
gets the end of the connection together with an answer (external/cork_close.h); a client that looks for it before it asks again
loses nothing."""
from scenarios import EXACT, scenario
from servers import STATIC


def again_and_again(t, clients, ready, most=0, **options):
    """Clients that go on as long as they are let. `most`: so many requests may be lost."""
    t.start()
    load = t.load(f'GET / {EXACT}', clients=clients, until_refused=True, ready_ok=ready, **options)
    load.wait_ready()
    t.term()
    result = load.finish()
    t.check(result['lost'] <= most, f"{result['lost']} lost, more than {most}: {result['losses'][:3]}")
    t.check(result['refused'] == clients, f"{result['refused']} of {clients} clients were refused in the end")
    took = t.exits()
    t.drained()
    close_sent = t.report()['close_sent']  # more, where a client came again before the door was closed
    t.check(close_sent >= clients, f'{close_sent} close options to {clients} clients')
    t.note = f"{result['ok']} ok, {result['lost']} lost, {result['refused']} refused, ended after {took:.2f} s"


@scenario(racing=True, only=STATIC)
def external_think(t):
    """64 clients that pause 5-50 ms."""
    again_and_again(t, 64, 256, think_min=5, think_max=50)


@scenario(racing=True, only=STATIC)
def external_slow(t):
    """A request that takes 2.5 s right behind a response, so that nobody can say which was last."""
    t.start()
    load = t.load([f'GET / {EXACT}', f'GET /sleep?ms=2500 {EXACT}'], clients=8, limit=2, ready_sent=16, wait_fin=True)
    load.wait_ready()
    t.term()
    result = t.no_loss(load)
    t.check(result['ok'] == 16, f"{result['ok']} of 16 were served")
    t.exits()
    t.drained()


@scenario(racing=True, only=STATIC)
def external_reuse(t):
    """One client with a request every 20 ms."""
    again_and_again(t, 1, 15, think_min=20, think_max=20)


@scenario(racing=True, only=STATIC)
def external_hammer(t):
    """16 clients that pause a millisecond or two: long enough to see that the connection has ended."""
    again_and_again(t, 16, 400, think_min=1, think_max=2)


@scenario(racing=True, only=STATIC)
def external_blind(t):
    """16 clients that write the next request into a connection of which they have read the last response's end, without a look
    whether the connection has ended too: each loses one, and no more."""
    again_and_again(t, 16, 400, most=16)
