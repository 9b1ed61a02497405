// From the values of the header to the member's claims, for AnteportFilter.java beside it.
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.*;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.security.interfaces.ECPublicKey;
import java.util.*;

public class AnteportVerifier {
    private static final int LEEWAY = 30; // seconds that two clocks may differ
    private static final int LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
    private static final int LARGEST = 8192;
    static final ObjectMapper JSON = new ObjectMapper()
        .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    private final String issuer, audience;
    private final AnteportKeys keys;

    public AnteportVerifier(String issuer, String audience, String keys) {
        this.issuer = Objects.requireNonNull(issuer, "issuer is missing");
        this.audience = Objects.requireNonNull(audience, "audience is missing");
        this.keys = new AnteportKeys(Objects.requireNonNull(keys, "keys is missing"));
    }

    /** The member's claims, or an exception. */
    public JsonNode verify(List<String> values, long now) throws Exception {
        must(values.size() == 1 && values.get(0).length() <= LARGEST, "one assertion is needed");
        String[] parts = values.get(0).split("\\.", -1);
        must(parts.length == 3, "an assertion has three parts");
        JsonNode header = JSON.readTree(bytes(parts[0])), claims = JSON.readTree(bytes(parts[1]));
        must(header.isObject() && claims.isObject(), "a part is no JSON object");
        // The algorithm is ES256, whatever the token says.
        must("ES256".equals(header.path("alg").textValue()) && !header.has("crit"), "another algorithm");
        must(header.path("kid").isTextual(), "no key id");
        ECPublicKey key = keys.find(header.get("kid").textValue());
        must(isSigned(key, parts[0] + "." + parts[1], bytes(parts[2])), "no key of Anteport signed it");
        must(issuer.equals(claims.path("iss").textValue()), "by another gate");
        must(audience.equals(claims.path("aud").textValue()), "for another portal");
        must(claims.path("sub").isTextual() && !claims.get("sub").textValue().isEmpty(), "about nobody");
        JsonNode expires = claims.path("exp"), issued = claims.path("iat"), from = claims.path("nbf");
        boolean areNumbers = expires.isNumber() && issued.isNumber() && (from.isNumber() || from.isMissingNode());
        must(areNumbers, "a time is no number");
        must(now - LEEWAY < expires.doubleValue() && expires.doubleValue() <= now + LONGEST, "expired");
        must(issued.doubleValue() <= now + LEEWAY && from.asDouble(0) <= now + LEEWAY, "from the future");
        return claims;
    }

    private static boolean isSigned(ECPublicKey key, String text, byte[] signature) throws GeneralSecurityException {
        must(signature.length == 64, "the signature has another size");
        for (int at = 0; at < 64; at += 32) { // Some releases of Java 15 to 18 took nought for good (CVE-2022-21449).
            BigInteger half = new BigInteger(1, Arrays.copyOfRange(signature, at, at + 32));
            must(half.signum() > 0 && half.compareTo(key.getParams().getOrder()) < 0, "the signature is no point");
        }
        Signature verifier = Signature.getInstance("SHA256withECDSAinP1363Format");
        verifier.initVerify(key);
        verifier.update(text.getBytes(StandardCharsets.US_ASCII));
        return verifier.verify(signature);
    }

    static void must(boolean truth, String why) throws GeneralSecurityException {
        if (!truth) throw new GeneralSecurityException(why);
    }

    /** Strict base64url: no padding, no white space, no bits left over. */
    static byte[] bytes(String part) throws GeneralSecurityException {
        byte[] bytes = Base64.getUrlDecoder().decode(part);
        must(Base64.getUrlEncoder().withoutPadding().encodeToString(bytes).equals(part), "a part is not base64url");
        return bytes;
    }
}
