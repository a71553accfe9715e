"""twisted.web as its documentation starts it: at TERM its reactor stops at once. twisted_server.py PORT HOST"""
import sys

from pattern import BIG, SMALL, STREAM
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


class Answer(Resource):
    isLeaf = True

    def later(self, request, seconds, what):
        call = reactor.callLater(seconds, what)
        request.notifyFinish().addErrback(lambda _: call.active() and call.cancel())
        return NOT_DONE_YET

    def small(self, request):
        request.setHeader('Content-Length', str(len(SMALL)))
        request.write(SMALL)
        request.finish()

    def stream(self, request, seconds, i=0):
        if i == len(STREAM):
            request.finish()
            return NOT_DONE_YET
        request.write(STREAM[i])
        return self.later(request, seconds / len(STREAM), lambda: self.stream(request, seconds, i + 1))

    def render_GET(self, request):
        seconds = int(request.args.get(b'ms', [b'0'])[0]) / 1000
        path = request.path.decode()
        if path == '/sleep':
            return self.later(request, seconds, lambda: self.small(request))
        if path == '/stream':
            return self.stream(request, seconds)
        request.setResponseCode({'/status/204': 204, '/status/304': 304}.get(path, 200))
        return b'' if path.startswith('/status/') else BIG if path == '/big' else SMALL

    def render_POST(self, request):
        if request.path == b'/early':
            request.setResponseCode(413)
            return SMALL
        return b'%d\n' % len(request.content.read())


reactor.listenTCP(int(sys.argv[1]), Site(Answer(), timeout=60), backlog=1024, interface=sys.argv[2])
reactor.run()
