// Who is asking, for ASP.NET on .NET Framework 4.7 or later (Web Forms, MVC 5, SharePoint's neighbours): verifies the
// assertion that Anteport sends with each request of a member. Nothing but the class library.
//
// web.config, with this file in App_Code or compiled into the site:
//
//   <appSettings>
//     <add key="anteport:issuer" value="https://members.example.org" />
//     <add key="anteport:audience" value="https://members.example.org" />
//     <add key="anteport:keys" value="http://127.0.0.1:8080/.auth/jwks.json" />      or the path of a file
//   </appSettings>
//   <system.webServer><modules><add name="Anteport" type="AnteportModule" /></modules></system.webServer>
//
// Then `User.Identity.Name` says who it is, and `HttpContext.Current.Items["anteport"]` has all claims.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Security;
using System.Security.Cryptography;
using System.Security.Principal;
using System.Text;
using System.Web;
using System.Web.Configuration;
using System.Web.Script.Serialization;

public sealed class AnteportModule : IHttpModule
{
    private const int Leeway = 30; // seconds that two clocks may differ
    private const int Longest = 300; // an assertion lives for a minute: one that claims more is not ours
    private const int Largest = 8192;
    private static readonly AnteportVerifier Verifier = new AnteportVerifier(
        Setting("issuer"), Setting("audience"), Setting("keys"));

    private static string Setting(string name)
    {
        var value = WebConfigurationManager.AppSettings["anteport:" + name];
        if (string.IsNullOrEmpty(value)) throw new InvalidOperationException("anteport:" + name + " is missing");
        return value;
    }

    public void Dispose() { }

    /// <summary>Nobody comes further who cannot be verified.</summary>
    public void Init(HttpApplication application)
    {
        application.AuthenticateRequest += (sender, _) =>
        {
            var context = ((HttpApplication)sender).Context;
            try
            {
                var values = context.Request.Headers.GetValues("X-Anteport-Assertion");
                var claims = Verifier.Verify(values, DateTimeOffset.UtcNow);
                var identity = new GenericIdentity((string)claims["sub"], "Anteport");
                context.Items["anteport"] = claims;
                context.User = new GenericPrincipal(identity, new string[0]);
            }
            catch (Exception refused) // Whatever it was: who cannot be verified is not let through.
            {
                var why = refused.Message.Replace('\n', ' ').Replace('\r', ' ');
                System.Diagnostics.Trace.TraceWarning("anteport: refused: " + why);
                context.Response.StatusCode = 401;
                context.Response.TrySkipIisCustomErrors = true;
                context.Response.SuppressFormsAuthenticationRedirect = true;
                context.Response.Cache.SetCacheability(HttpCacheability.NoCache);
                context.Response.Cache.SetNoStore();
                context.Response.ContentType = "text/plain";
                context.Response.Write("Please sign in: this request does not say who you are.\n");
                ((HttpApplication)sender).CompleteRequest();
            }
        };
    }

    public sealed class AnteportVerifier
    {
        private readonly string issuer, audience, source;
        private readonly object door = new object();
        private readonly System.Diagnostics.Stopwatch clock = System.Diagnostics.Stopwatch.StartNew();
        private List<Dictionary<string, object>> keys = new List<Dictionary<string, object>>();
        private TimeSpan? asked;

        public AnteportVerifier(string issuer, string audience, string source)
        {
            this.issuer = issuer;
            this.audience = audience;
            this.source = source;
        }

        /// <summary>From the values of the header to the member's claims, or an exception.</summary>
        public Dictionary<string, object> Verify(string[] values, DateTimeOffset time)
        {
            Must(values != null && values.Length == 1 && values[0].Length <= Largest, "one assertion is needed");
            var parts = values[0].Split('.');
            Must(parts.Length == 3, "an assertion has three parts");
            var header = Object(parts[0]);
            var claims = Object(parts[1]);
            var signature = Bytes(parts[2]);
            // The algorithm is ES256, whatever the token says.
            Must(Text(header, "alg") == "ES256" && !header.ContainsKey("crit"), "another algorithm");
            Must(Text(header, "kid") != null && signature.Length == 64, "no key id, or a signature of another size");
            Must(IsSigned(Find(Text(header, "kid")), parts[0] + "." + parts[1], signature), "no key of Anteport signed it");
            Must(Text(claims, "iss") == issuer && Text(claims, "aud") == audience, "for another portal");
            Must(!string.IsNullOrEmpty(Text(claims, "sub")), "about nobody");
            double now = time.ToUnixTimeSeconds(), expires = Number(claims, "exp"), issued = Number(claims, "iat");
            Must(now - Leeway < expires && expires <= now + Longest, "expired");
            var begins = claims.ContainsKey("nbf") ? Number(claims, "nbf") : 0;
            Must(issued <= now + Leeway && begins <= now + Leeway, "from the future");
            return claims;
        }

        private static void Must(bool truth, string why)
        {
            if (!truth) throw new SecurityException(why);
        }

        private static string Text(Dictionary<string, object> from, string name)
        {
            object value;
            return from.TryGetValue(name, out value) ? value as string : null;
        }

        private static double Number(Dictionary<string, object> from, string name)
        {
            object value;
            from.TryGetValue(name, out value);
            Must(value is int || value is long || value is decimal || value is double, "a time is no number");
            return Convert.ToDouble(value);
        }

        /// <summary>Strict base64url: no padding, no white space, no bits left over.</summary>
        private static byte[] Bytes(string part)
        {
            var padding = new string('=', (4 - part.Length % 4) % 4);
            var bytes = Convert.FromBase64String(part.Replace('-', '+').Replace('_', '/') + padding);
            var again = Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
            Must(string.Equals(again, part, StringComparison.Ordinal), "a part is not base64url");
            return bytes;
        }

        private static Dictionary<string, object> Object(string part)
        {
            var value = Json(new UTF8Encoding(false, true).GetString(Bytes(part)));
            Must(value != null, "a part is no JSON object");
            return value;
        }

        private static Dictionary<string, object> Json(string text)
        {
            return new JavaScriptSerializer().DeserializeObject(text) as Dictionary<string, object>;
        }

        private static bool IsSigned(Dictionary<string, object> key, string text, byte[] signature)
        {
            var point = new ECPoint { X = Bytes(Text(key, "x")), Y = Bytes(Text(key, "y")) };
            var parameters = new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point };
            using (var algorithm = ECDsa.Create(parameters))
            {
                return algorithm.VerifyData(Encoding.ASCII.GetBytes(text), signature, HashAlgorithmName.SHA256);
            }
        }

        /// <summary>The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds.</summary>
        private Dictionary<string, object> Find(string kid)
        {
            var wanted = new[] { kid, "ES256", "EC", "P-256" };
            Func<Dictionary<string, object>> look = () => keys.FirstOrDefault(
                key => new[] { "kid", "alg", "kty", "crv" }.Select(name => Text(key, name)).SequenceEqual(wanted));
            lock (door)
            {
                var found = look();
                if (asked == null || clock.Elapsed - asked > TimeSpan.FromSeconds(found != null ? 300 : 10))
                {
                    asked = clock.Elapsed;
                    keys = new List<Dictionary<string, object>>(); // What cannot be read is empty: nobody is let through.
                    keys = ((object[])Json(Read())["keys"]).OfType<Dictionary<string, object>>().ToList();
                    found = look();
                }
                Must(found != null, "no such key");
                return found;
            }
        }

        private string Read()
        {
            var isUrl = new[] { "http:", "https:" }.Any(scheme => source.StartsWith(scheme, StringComparison.Ordinal));
            if (!isUrl) return File.ReadAllText(source);
            var request = WebRequest.Create(source);
            request.Timeout = 5000;
            using (var answer = request.GetResponse())
            using (var reader = new StreamReader(answer.GetResponseStream(), Encoding.UTF8)) return reader.ReadToEnd();
        }
    }
}
