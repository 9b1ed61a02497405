// Who is asking, for servlets: verifies the assertion that Anteport sends with each request of a member. Java 9 or
// later and Jackson. Four files: this one, AnteportVerifier.java, AnteportKeys.java and AnteportKeyReader.java. Before
// Tomcat 10 the two imports of `jakarta.servlet` are `javax.servlet`.
//
//   <filter>
//     <filter-name>anteport</filter-name><filter-class>AnteportFilter</filter-class>
//     <init-param><param-name>issuer</param-name><param-value>https://members.example.org</param-value></init-param>
//     <init-param><param-name>audience</param-name><param-value>https://members.example.org</param-value></init-param>
//     <init-param><param-name>keys</param-name>
//       <param-value>https://members.example.org/.auth/jwks.json</param-value></init-param>
//   </filter>
//   <filter-mapping><filter-name>anteport</filter-name><url-pattern>/*</url-pattern></filter-mapping>
//
// and <async-supported>true</async-supported> where the portal has asynchronous servlets. `keys` may be a file: URL.
// Then `request.getRemoteUser()` says who it is, and the attribute "anteport" has all claims.
import com.fasterxml.jackson.databind.JsonNode;
import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.IOException;
import java.security.Principal;
import java.util.*;

public class AnteportFilter implements Filter {
    private AnteportVerifier verifier;

    @Override public void init(FilterConfig config) {
        verifier = new AnteportVerifier(config.getInitParameter("issuer"), config.getInitParameter("audience"),
            config.getInitParameter("keys"));
    }

    /** Nobody comes further who cannot be verified. */
    @Override public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        JsonNode claims;
        try {
            List<String> values = Collections.list(((HttpServletRequest) request).getHeaders("X-Anteport-Assertion"));
            claims = verifier.verify(values, System.currentTimeMillis() / 1000);
        } catch (Exception refused) { // Whatever it was: who cannot be verified is not let through.
            String why = String.valueOf(refused.getMessage()).replaceAll("\\p{Cntrl}", " ");
            request.getServletContext().log("anteport: refused: " + why);
            refuse((HttpServletResponse) response, refused instanceof AnteportKeys.Unavailable);
            return;
        }
        request.setAttribute("anteport", claims);
        chain.doFilter(new HttpServletRequestWrapper((HttpServletRequest) request) {
            @Override public String getRemoteUser() { return claims.get("sub").textValue(); }
            @Override public Principal getUserPrincipal() { return () -> claims.get("sub").textValue(); }
        }, response);
    }

    private static void refuse(HttpServletResponse response, boolean isLater) throws IOException {
        response.setStatus(isLater ? 503 : 401);
        response.setHeader("Cache-Control", "no-store");
        if (isLater) response.setHeader("Retry-After", "10");
        response.setContentType("text/plain;charset=utf-8");
        response.getWriter().println(isLater ? "Please try again in a moment: who you are cannot be verified now."
            : "Please sign in: this request does not say who you are.");
    }
}
