// How the keys of Anteport are fetched and read, for AnteportKeys.java beside it.
import com.fasterxml.jackson.databind.JsonNode;
import java.io.*;
import java.math.BigInteger;
import java.net.*;
import java.security.*;
import java.security.interfaces.ECPublicKey;
import java.security.spec.*;
import java.util.*;

class AnteportKeyReader {
    /** They come from where they are said to be: no proxy of the system has a part in it, and no redirect. */
    static Map<String, JsonNode> read(String source) throws IOException {
        URLConnection connection = new URL(source).openConnection(Proxy.NO_PROXY);
        connection.setConnectTimeout(5000);
        connection.setReadTimeout(5000);
        connection.setUseCaches(false); // Those on the way are told so: they may have a key that was withdrawn.
        if (connection instanceof HttpURLConnection) {
            HttpURLConnection http = (HttpURLConnection) connection;
            http.setInstanceFollowRedirects(false);
            if (http.getResponseCode() != 200) throw new IOException("status " + http.getResponseCode());
        }
        Map<String, JsonNode> found = new HashMap<>();
        try (InputStream text = connection.getInputStream()) {
            for (JsonNode key : AnteportVerifier.JSON.readTree(text).path("keys")) {
                if (isPoint(key) && key.path("kid").isTextual()) found.put(key.get("kid").textValue(), key);
            }
        }
        if (found.isEmpty()) throw new IOException("none of them is for ES256");
        return found;
    }

    private static boolean isPoint(JsonNode jwk) {
        List<String> kind = List.of(jwk.path("alg").asText(), jwk.path("kty").asText(), jwk.path("crv").asText());
        return kind.equals(List.of("ES256", "EC", "P-256"));
    }

    static ECPublicKey point(JsonNode jwk) throws GeneralSecurityException {
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        BigInteger x = new BigInteger(1, AnteportVerifier.bytes(jwk.path("x").asText()));
        BigInteger y = new BigInteger(1, AnteportVerifier.bytes(jwk.path("y").asText()));
        KeySpec key = new ECPublicKeySpec(new ECPoint(x, y), curve.getParameterSpec(ECParameterSpec.class));
        return (ECPublicKey) KeyFactory.getInstance("EC").generatePublic(key);
    }
}
