// Who is asking, for servlets: verifies the assertion that Anteport sends with each request of a member. Java 9 or later
// and Jackson. Before Tomcat 10 the two imports of `jakarta.servlet` are `javax.servlet`.
//
//   <filter>
//     <filter-name>anteport</filter-name><filter-class>AnteportFilter</filter-class>
//     <init-param><param-name>issuer</param-name><param-value>https://members.example.org</param-value></init-param>
//     <init-param><param-name>audience</param-name><param-value>https://members.example.org</param-value></init-param>
//     <init-param><param-name>keys</param-name><param-value>http://127.0.0.1:8080/.auth/jwks.json</param-value></init-param>
//   </filter>
//   <filter-mapping><filter-name>anteport</filter-name><url-pattern>/*</url-pattern></filter-mapping>
//
// and <async-supported>true</async-supported> where the portal has asynchronous servlets. `keys` may be a file: URL. Then
// `request.getRemoteUser()` says who it is, and the attribute "anteport" has all claims.
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.*;
import java.math.BigInteger;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.security.interfaces.ECPublicKey;
import java.security.spec.*;
import java.util.*;

public class AnteportFilter implements Filter {
    private static final int LEEWAY = 30; // seconds that two clocks may differ
    private static final int LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
    private static final int LARGEST = 8192;
    private static final ObjectMapper JSON = new ObjectMapper()
        .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private String issuer, audience, source;
    private JsonNode keys = MissingNode.getInstance();
    private Long asked;

    @Override public void init(FilterConfig config) {
        set(config.getInitParameter("issuer"), config.getInitParameter("audience"), config.getInitParameter("keys"));
    }

    public AnteportFilter set(String issuer, String audience, String keys) {
        if (issuer == null || audience == null || keys == null) throw new IllegalArgumentException("a setting is missing");
        this.issuer = issuer;
        this.audience = audience;
        this.source = keys;
        return this;
    }

    /** The filter: nobody comes further who cannot be verified. */
    @Override public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        JsonNode claims;
        try {
            List<String> values = Collections.list(((HttpServletRequest) request).getHeaders("X-Anteport-Assertion"));
            claims = verify(values, System.currentTimeMillis() / 1000);
        } catch (Exception refused) { // Whatever it was: who cannot be verified is not let through.
            String why = String.valueOf(refused.getMessage()).replaceAll("\\p{Cntrl}", " ");
            request.getServletContext().log("anteport: refused: " + why);
            ((HttpServletResponse) response).setStatus(401);
            ((HttpServletResponse) response).setHeader("Cache-Control", "no-store");
            response.setContentType("text/plain;charset=utf-8");
            response.getWriter().println("Please sign in: this request does not say who you are.");
            return;
        }
        request.setAttribute("anteport", claims);
        chain.doFilter(new HttpServletRequestWrapper((HttpServletRequest) request) {
            @Override public String getRemoteUser() { return claims.get("sub").textValue(); }
            @Override public Principal getUserPrincipal() { return () -> claims.get("sub").textValue(); }
        }, response);
    }

    /** From the values of the header to the member's claims, or an exception. */
    public JsonNode verify(List<String> values, long now) throws Exception {
        must(values.size() == 1 && values.get(0).length() <= LARGEST, "one assertion is needed");
        String[] parts = values.get(0).split("\\.", -1);
        must(parts.length == 3, "an assertion has three parts");
        JsonNode header = JSON.readTree(bytes(parts[0])), claims = JSON.readTree(bytes(parts[1]));
        must(header.isObject() && claims.isObject(), "a part is no JSON object");
        // The algorithm is ES256, whatever the token says.
        must("ES256".equals(header.path("alg").textValue()) && !header.has("crit"), "another algorithm");
        must(header.path("kid").isTextual(), "no key id");
        byte[] signature = bytes(parts[2]);
        ECPublicKey key = key(header.get("kid").textValue());
        must(signature.length == 64, "the signature has another size");
        for (int at = 0; at < 64; at += 32) { // Some releases of Java 15 to 18 took nought for good (CVE-2022-21449).
            BigInteger half = new BigInteger(1, Arrays.copyOfRange(signature, at, at + 32));
            must(half.signum() > 0 && half.compareTo(key.getParams().getOrder()) < 0, "the signature is no point");
        }
        Signature verifier = Signature.getInstance("SHA256withECDSAinP1363Format");
        verifier.initVerify(key);
        verifier.update((parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII));
        must(verifier.verify(signature), "no key of Anteport signed it");
        must(issuer.equals(claims.path("iss").textValue()), "by another gate");
        must(audience.equals(claims.path("aud").textValue()), "for another portal");
        must(claims.path("sub").isTextual() && !claims.get("sub").textValue().isEmpty(), "about nobody");
        JsonNode expires = claims.path("exp"), issued = claims.path("iat"), from = claims.path("nbf");
        must(expires.isNumber() && issued.isNumber() && (from.isNumber() || from.isMissingNode()), "a time is no number");
        must(now - LEEWAY < expires.doubleValue() && expires.doubleValue() <= now + LONGEST, "expired");
        must(issued.doubleValue() <= now + LEEWAY && from.asDouble(0) <= now + LEEWAY, "from the future");
        return claims;
    }

    private static void must(boolean truth, String why) throws GeneralSecurityException {
        if (!truth) throw new GeneralSecurityException(why);
    }

    /** Strict base64url: no padding, no white space, no bits left over. */
    private static byte[] bytes(String part) throws GeneralSecurityException {
        byte[] bytes = Base64.getUrlDecoder().decode(part);
        must(Base64.getUrlEncoder().withoutPadding().encodeToString(bytes).equals(part), "a part is not base64url");
        return bytes;
    }

    /** The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds. */
    private synchronized ECPublicKey key(String kid) throws Exception {
        JsonNode found = find(kid);
        long now = System.nanoTime() / 1_000_000_000;
        if (asked == null || now - asked > (found != null ? 300 : 10)) {
            asked = now;
            keys = MissingNode.getInstance(); // What cannot be read is empty: without keys everybody is refused.
            URLConnection connection = new URL(source).openConnection();
            connection.setConnectTimeout(5000);
            connection.setReadTimeout(5000);
            try (InputStream text = connection.getInputStream()) {
                keys = JSON.readTree(text).path("keys");
            }
            found = find(kid);
        }
        must(found != null, "no such key");
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        BigInteger x = new BigInteger(1, bytes(found.path("x").asText()));
        BigInteger y = new BigInteger(1, bytes(found.path("y").asText()));
        KeySpec key = new ECPublicKeySpec(new ECPoint(x, y), curve.getParameterSpec(ECParameterSpec.class));
        return (ECPublicKey) KeyFactory.getInstance("EC").generatePublic(key);
    }

    private JsonNode find(String kid) {
        for (JsonNode key : keys) {
            List<String> is = Arrays.asList(key.path("kid").textValue(), key.path("alg").textValue(),
                key.path("kty").textValue(), key.path("crv").textValue());
            if (is.equals(Arrays.asList(kid, "ES256", "EC", "P-256"))) return key;
        }
        return null;
    }
}
