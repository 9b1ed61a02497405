// The smallest portal on servlets, in a Tomcat of its own. `Portal vectors FILE KEYS` judges every case; `Portal serve
// PORT ISSUER AUDIENCE KEYS` answers who is asking.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.File;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;

public class Portal extends HttpServlet {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A plain header as a list. */
    static List<String> plain(String header) {
        List<String> list = new ArrayList<>();
        for (String part : header.split(",", -1)) {
            list.add(URLDecoder.decode(part.replace("+", "%2B"), StandardCharsets.UTF_8));
        }
        return list;
    }

    @Override protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        ObjectNode told = JSON.createObjectNode().put("sub", request.getUserPrincipal().getName());
        response.setContentType("application/json");
        JSON.writeValue(response.getOutputStream(), told.put("assertion", request.getHeader("X-Anteport-Assertion")));
    }

    static void vectors(String file, String keys) throws IOException {
        JsonNode given = JSON.readTree(new File(file));
        AnteportVerifier verifier =
            new AnteportVerifier(given.get("issuer").asText(), given.get("audience").asText(), keys);
        ObjectNode all = JSON.createObjectNode();
        ObjectNode results = all.putObject("results");
        for (JsonNode one : given.get("cases")) {
            if (!one.get("algorithm").asText().equals("ES256")) continue;
            List<String> values = new ArrayList<>();
            for (JsonNode line : one.get("headers")) {
                if (line.get(0).asText().equalsIgnoreCase(given.get("header").asText())) values.add(line.get(1).asText());
            }
            JsonNode claims = null;
            try {
                claims = verifier.verify(values, given.get("now").asLong());
            } catch (Exception refused) {
                // It is what most of them are there for.
            }
            results.set(one.get("name").asText(), claims);
        }
        ArrayNode lists = all.putArray("plain");
        for (JsonNode one : given.get("plain")) lists.addPOJO(plain(one.get("header").asText()));
        JSON.writeValue(System.out, all);
    }

    static void serve(String port, String issuer, String audience, String keys) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory(new File(System.getProperty("user.dir")).toPath(), "tomcat").toString());
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(Integer.parseInt(port));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", null);
        FilterDef filter = new FilterDef();
        filter.setFilterName("anteport");
        filter.setFilterClass("AnteportFilter");
        filter.addInitParameter("issuer", issuer);
        filter.addInitParameter("audience", audience);
        filter.addInitParameter("keys", keys);
        context.addFilterDef(filter);
        FilterMap everywhere = new FilterMap();
        everywhere.setFilterName("anteport");
        everywhere.addURLPattern("/*");
        context.addFilterMap(everywhere);
        Tomcat.addServlet(context, "portal", new Portal());
        context.addServletMappingDecoded("/", "portal");
        tomcat.start();
        tomcat.getServer().await();
    }

    public static void main(String[] words) throws Exception {
        if (words[0].equals("vectors")) vectors(words[1], words[2]);
        else serve(words[1], words[2], words[3], words[4]);
    }
}
