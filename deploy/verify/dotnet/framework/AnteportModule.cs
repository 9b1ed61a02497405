// Who is asking, for ASP.NET on .NET Framework 4.7 or later (Web Forms, MVC 5, SharePoint's neighbours): verifies the
// assertion that Anteport sends with each request of a member. Nothing but the class library. Five files: this one,
// AnteportVerifier.cs, AnteportVerifier.Parts.cs, AnteportKeys.cs and AnteportKeyReader.cs, in App_Code or compiled
// into the site. web.config beside it says what goes into yours.
//
// The application pool has to have the Integrated pipeline. In the Classic one a module sees only what ASP.NET serves,
// so that pages of others and files would be open: this one refuses to start there.
//
// Then `User.Identity.Name` says who it is, and `HttpContext.Current.Items["anteport"]` has all claims.
using System;
using System.Security.Principal;
using System.Web;
using System.Web.Configuration;

public sealed class AnteportModule : IHttpModule
{
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
        if (!HttpRuntime.UsingIntegratedPipeline) throw new PlatformNotSupportedException("Integrated pipeline only");
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
                var isLater = refused is AnteportUnavailableException;
                if (isLater) context.Response.AppendHeader("Retry-After", "10");
                context.Response.StatusCode = isLater ? 503 : 401;
                context.Response.TrySkipIisCustomErrors = true;
                context.Response.SuppressFormsAuthenticationRedirect = true;
                context.Response.Cache.SetCacheability(HttpCacheability.NoCache);
                context.Response.Cache.SetNoStore();
                context.Response.ContentType = "text/plain";
                context.Response.Write(isLater
                    ? "Please try again in a moment: who you are cannot be verified now.\n"
                    : "Please sign in: this request does not say who you are.\n");
                ((HttpApplication)sender).CompleteRequest();
            }
        };
    }
}
