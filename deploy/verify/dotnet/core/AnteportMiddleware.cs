// Who is asking, for ASP.NET Core on .NET 6 or later: verifies the assertion that Anteport sends with each request of a
// member. Nothing but the shared framework. Five files: this one, AnteportVerifier.cs, AnteportVerifier.Parts.cs,
// AnteportKeys.cs and AnteportKeyReader.cs.
//
//   app.UseMiddleware<AnteportMiddleware>(new AnteportVerifier("https://members.example.org",
//       "https://members.example.org", "https://members.example.org/.auth/jwks.json")); // or the path of a file
//
// before everything else. Then `HttpContext.User.Identity.Name` says who it is, and `Items["anteport"]` has all claims.
#nullable enable
using System;
using System.Security.Claims;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

/// <summary>Nobody comes further who cannot be verified.</summary>
public sealed class AnteportMiddleware
{
    private readonly RequestDelegate next;
    private readonly AnteportVerifier verifier;
    private readonly ILogger<AnteportMiddleware> log;

    public AnteportMiddleware(RequestDelegate next, AnteportVerifier verifier, ILogger<AnteportMiddleware> log)
    {
        (this.next, this.verifier, this.log) = (next, verifier, log);
        verifier.Warn = text => log.LogWarning("{Text}", text);
    }

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            var values = context.Request.Headers["X-Anteport-Assertion"].ToArray();
            var claims = await verifier.VerifyAsync(values, DateTimeOffset.UtcNow);
            context.Items["anteport"] = claims;
            var name = new Claim(ClaimTypes.Name, claims.GetProperty("sub").GetString()!);
            context.User = new ClaimsPrincipal(new ClaimsIdentity(new[] { name }, "Anteport"));
        }
        catch (Exception refused) // Whatever it was: who cannot be verified is not let through.
        {
            log.LogWarning("anteport: refused: {Why}", refused.Message.ReplaceLineEndings(" "));
            var isLater = refused is AnteportUnavailableException;
            if (isLater) context.Response.Headers["Retry-After"] = "10";
            context.Response.StatusCode = isLater ? 503 : 401;
            context.Response.Headers["Cache-Control"] = "no-store";
            context.Response.ContentType = "text/plain; charset=utf-8";
            await context.Response.WriteAsync(isLater
                ? "Please try again in a moment: who you are cannot be verified now.\n"
                : "Please sign in: this request does not say who you are.\n");
            return;
        }
        await next(context);
    }
}
