// The keys of Anteport, for AnteportVerifier.java beside it: fetched and kept.
import com.fasterxml.jackson.databind.JsonNode;
import java.io.*;
import java.math.BigInteger;
import java.net.*;
import java.security.*;
import java.security.interfaces.ECPublicKey;
import java.security.spec.*;
import java.util.*;

class AnteportKeys {
    private final String source;
    private Map<String, JsonNode> keys = Map.of();
    private Long asked;

    AnteportKeys(String source) {
        this.source = source;
    }

    /** The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds. */
    synchronized ECPublicKey find(String kid) throws Exception {
        long now = System.nanoTime() / 1_000_000_000;
        if (asked == null || now - asked > (keys.containsKey(kid) ? 300 : 10)) {
            asked = now;
            keys = Map.of(); // What cannot be read is empty: without keys everybody is refused.
            keys = read();
        }
        AnteportVerifier.must(keys.containsKey(kid), "no such key");
        return point(keys.get(kid));
    }

    private Map<String, JsonNode> read() throws IOException {
        URLConnection connection = new URL(source).openConnection();
        connection.setConnectTimeout(5000);
        connection.setReadTimeout(5000);
        Map<String, JsonNode> found = new HashMap<>();
        try (InputStream text = connection.getInputStream()) {
            for (JsonNode key : AnteportVerifier.JSON.readTree(text).path("keys")) {
                if (isPoint(key)) found.put(key.path("kid").textValue(), key);
            }
        }
        return found;
    }

    private static boolean isPoint(JsonNode jwk) {
        List<String> kind = List.of(jwk.path("alg").asText(), jwk.path("kty").asText(), jwk.path("crv").asText());
        return kind.equals(List.of("ES256", "EC", "P-256"));
    }

    private static ECPublicKey point(JsonNode jwk) throws GeneralSecurityException {
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        BigInteger x = new BigInteger(1, AnteportVerifier.bytes(jwk.path("x").asText()));
        BigInteger y = new BigInteger(1, AnteportVerifier.bytes(jwk.path("y").asText()));
        KeySpec key = new ECPublicKeySpec(new ECPoint(x, y), curve.getParameterSpec(ECParameterSpec.class));
        return (ECPublicKey) KeyFactory.getInstance("EC").generatePublic(key);
    }
}
