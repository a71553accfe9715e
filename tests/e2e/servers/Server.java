import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** Server PORT HOST [CERTIFICATE KEY]: the JDK's own HTTP server with a fixed pool of threads, more than the clients of
 *  any scenario. */
public class Server {
    static final int CHUNKS = 10, CHUNK = 160;
    static final byte[] SMALL = lines(64), BIG = lines(8 << 20);

    static byte[] lines(int n) {
        byte[] out = new byte[n];
        for (int i = 0; i < n / 16; i++) {
            for (int column = 0; column < 15; column++)
                out[i * 16 + column] = (byte) "0123456789abcdef".charAt((int) ((long) i >> (4 * (14 - column)) & 15));
            out[i * 16 + 15] = '\n';
        }
        return out;
    }

    static void answer(HttpExchange x, int status, byte[] body) throws IOException {
        boolean bodiless = body == null || x.getRequestMethod().equals("HEAD");
        if (body != null && bodiless)
            x.getResponseHeaders().set("Content-Length", "" + body.length);
        x.sendResponseHeaders(status, bodiless ? -1 : body.length);
        if (!bodiless)
            x.getResponseBody().write(body);
        x.close();
    }

    static void stream(HttpExchange x, int ms) throws Exception {
        byte[] body = lines(CHUNKS * CHUNK);
        x.sendResponseHeaders(200, 0);
        OutputStream out = x.getResponseBody();
        for (int i = 0; i < CHUNKS; i++) {
            out.write(body, i * CHUNK, CHUNK);
            out.flush();
            Thread.sleep(ms / CHUNKS);
        }
        x.close();
    }

    static void upload(HttpExchange x) throws IOException {
        long n = 0;
        byte[] buffer = new byte[65536];
        InputStream in = x.getRequestBody();
        for (int got; (got = in.read(buffer)) >= 0;)
            n += got;
        answer(x, 200, (n + "\n").getBytes());
    }

    static void handle(HttpExchange x) throws IOException {
        String query = x.getRequestURI().getQuery();
        int ms = query != null && query.startsWith("ms=") ? Integer.parseInt(query.substring(3)) : 0;
        try {
            switch (x.getRequestURI().getPath()) {
                case "/sleep":
                    Thread.sleep(ms);
                case "/": answer(x, 200, SMALL); break;
                case "/big": answer(x, 200, BIG); break;
                case "/stream": stream(x, ms); break;
                case "/upload": upload(x); break;
                case "/early":
                    x.getResponseHeaders().set("Connection", "close");
                    answer(x, 413, SMALL);
                    break;
                case "/status/204": answer(x, 204, null); break;
                case "/status/304": answer(x, 304, null); break;
                default: answer(x, 404, SMALL);
            }
        } catch (IOException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException(e);
        }
    }

    static HttpServer tls(InetSocketAddress address, String certificate, String key) throws Exception {
        String base64 = Files.readString(Path.of(key)).replaceAll("-----.*-----|\\s", "");
        CertificateFactory certificates = CertificateFactory.getInstance("X.509");
        Certificate[] chain = {certificates.generateCertificate(Files.newInputStream(Path.of(certificate)))};
        PKCS8EncodedKeySpec secret = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64));
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry("e2e", KeyFactory.getInstance("EC").generatePrivate(secret), new char[0], chain);
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, new char[0]);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        HttpsServer server = HttpsServer.create(address, 1024);
        server.setHttpsConfigurator(new HttpsConfigurator(context));
        return server;
    }

    public static void main(String[] args) throws Exception {
        String host = args.length > 1 ? args[1] : "127.0.0.1";
        InetSocketAddress address = new InetSocketAddress(host, Integer.parseInt(args[0]));
        HttpServer server = args.length > 2 ? tls(address, args[2], args[3]) : HttpServer.create(address, 1024);
        server.createContext("/", Server::handle);
        server.setExecutor(Executors.newFixedThreadPool(96));
        server.start();
    }
}
