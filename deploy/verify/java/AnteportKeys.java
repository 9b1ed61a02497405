// The keys of Anteport, for AnteportVerifier.java beside it: fetched and kept.
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.interfaces.ECPublicKey;
import java.util.Map;
import java.util.regex.Pattern;

class AnteportKeys {
    private static final int FRESH = 300; // seconds for which nobody asks again
    private static final int PAUSE = 10; // between two questions, whatever is wanted
    private static final int LAST = 1200; // after these, what could not be renewed counts no more
    /** Whoever can change the keys on their way is everybody: over TLS, from this machine, or out of a file. */
    private static final Pattern SAFE =
        Pattern.compile("(https://|http://(127\\.0\\.0\\.1|\\[::1\\]|localhost)(:\\d+)?/|file:(///|/[^/])).*");
    private final String source;
    private final long start = System.nanoTime();
    private volatile Map<String, JsonNode> keys = Map.of();
    private volatile long asked = -LAST, got = -LAST;

    /** There are no keys to verify with. It says nothing about who asks, who may come again. */
    static class Unavailable extends GeneralSecurityException {
        Unavailable() { super("the keys cannot be had"); }
    }

    AnteportKeys(String source) {
        boolean isSafe = SAFE.matcher(source).matches();
        if (!isSafe) throw new IllegalArgumentException("keys come over https, from this machine or a file: URL alone");
        this.source = source;
    }

    /** The key of that id. Who has to wait for the answer is who asks, and who has no key without it. */
    ECPublicKey find(String kid) throws GeneralSecurityException {
        if (isDue(kid) || !isKept(kid)) {
            synchronized (this) {
                if (isDue(kid)) ask();
            }
        }
        JsonNode key = isKept(kid) ? keys.get(kid) : null;
        if (key == null && got < asked) throw new Unavailable();
        AnteportVerifier.must(key != null, "no such key");
        return AnteportKeyReader.point(key);
    }

    private long now() { return (System.nanoTime() - start) / 1_000_000_000; }

    private boolean isKept(String kid) { return now() - got < LAST && keys.containsKey(kid); }

    private boolean isDue(String kid) { return now() - asked > PAUSE && (now() - got > FRESH || !isKept(kid)); }

    /** What cannot be read changes nothing yet: one bad answer turns nobody away. */
    private void ask() {
        asked = now();
        try {
            keys = AnteportKeyReader.read(source);
            got = now();
        } catch (IOException | RuntimeException failed) {
            System.getLogger("anteport").log(System.Logger.Level.WARNING, "no keys from " + source + ": " + failed);
        }
    }
}
