// Who is asking, for ASP.NET Core on .NET 6 or later: verifies the assertion that Anteport sends with each request of a
// member. Nothing but the shared framework.
//
//   app.UseMiddleware<AnteportMiddleware>(new AnteportVerifier("https://members.example.org",
//       "https://members.example.org", "http://127.0.0.1:8080/.auth/jwks.json"));      // or the path of a file
//
// before everything else. Then `HttpContext.User.Identity.Name` says who it is, and `Items["anteport"]` has all claims.
#nullable enable
using System;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Security;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

/// <summary>Nobody comes further who cannot be verified.</summary>
public sealed class AnteportMiddleware
{
    private readonly RequestDelegate next;
    private readonly AnteportVerifier verifier;
    private readonly ILogger<AnteportMiddleware> log;

    public AnteportMiddleware(RequestDelegate next, AnteportVerifier verifier, ILogger<AnteportMiddleware> log) =>
        (this.next, this.verifier, this.log) = (next, verifier, log);

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
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            context.Response.Headers["Cache-Control"] = "no-store";
            context.Response.ContentType = "text/plain; charset=utf-8";
            await context.Response.WriteAsync("Please sign in: this request does not say who you are.\n");
            return;
        }
        await next(context);
    }
}

public sealed class AnteportVerifier
{
    private const int Leeway = 30; // seconds that two clocks may differ
    private const int Longest = 300; // an assertion lives for a minute: one that claims more is not ours
    private const int Largest = 8192;
    private static readonly HttpClient Http =
        new(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };
    private readonly string issuer, audience, source;
    private readonly SemaphoreSlim door = new(1, 1);
    private JsonElement[] keys = Array.Empty<JsonElement>();
    private long? asked;

    public AnteportVerifier(string issuer, string audience, string keys) =>
        (this.issuer, this.audience, source) = (issuer, audience, keys);

    /// <summary>From the values of the header to the member's claims, or an exception.</summary>
    public async Task<JsonElement> VerifyAsync(string?[] values, DateTimeOffset time)
    {
        Must(values.Length == 1 && values[0] is { Length: <= Largest }, "one assertion is needed");
        var parts = values[0]!.Split('.');
        Must(parts.Length == 3, "an assertion has three parts");
        var (header, claims, signature) = (Object(parts[0]), Object(parts[1]), Bytes(parts[2]));
        // The algorithm is ES256, whatever the token says.
        Must(Text(header, "alg") == "ES256" && !header.TryGetProperty("crit", out _), "another algorithm");
        Must(Text(header, "kid") is not null && signature.Length == 64, "no key id, or a signature of another size");
        var key = await FindAsync(Text(header, "kid")!);
        Must(IsSigned(key, $"{parts[0]}.{parts[1]}", signature), "no key of Anteport signed it");
        Must(Text(claims, "iss") == issuer && Text(claims, "aud") == audience, "for another portal");
        Must(!string.IsNullOrEmpty(Text(claims, "sub")), "about nobody");
        double now = time.ToUnixTimeSeconds(), expires = Number(claims, "exp"), issued = Number(claims, "iat");
        Must(now - Leeway < expires && expires <= now + Longest, "expired");
        var begins = claims.TryGetProperty("nbf", out _) ? Number(claims, "nbf") : 0;
        Must(issued <= now + Leeway && begins <= now + Leeway, "from the future");
        return claims;
    }

    private static void Must(bool truth, string why)
    {
        if (!truth) throw new SecurityException(why);
    }

    private static string? Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static double Number(JsonElement from, string name)
    {
        Must(from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number, "a time is no number");
        return value.GetDouble();
    }

    /// <summary>Strict base64url: no padding, no white space, no bits left over.</summary>
    private static byte[] Bytes(string part)
    {
        var padding = new string('=', (4 - part.Length % 4) % 4);
        var bytes = Convert.FromBase64String(part.Replace('-', '+').Replace('_', '/') + padding);
        var again = Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        Must(again == part, "a part is not base64url");
        return bytes;
    }

    private static JsonElement Object(string part)
    {
        using var document = JsonDocument.Parse(new UTF8Encoding(false, true).GetString(Bytes(part)));
        Must(document.RootElement.ValueKind == JsonValueKind.Object, "a part is no JSON object");
        return document.RootElement.Clone();
    }

    private static bool IsSigned(JsonElement key, string text, byte[] signature)
    {
        var point = new ECPoint { X = Bytes(Text(key, "x")!), Y = Bytes(Text(key, "y")!) };
        using var algorithm = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point });
        return algorithm.VerifyData(Encoding.ASCII.GetBytes(text), signature, HashAlgorithmName.SHA256);
    }

    /// <summary>The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds.</summary>
    private async Task<JsonElement> FindAsync(string kid)
    {
        var wanted = new[] { kid, "ES256", "EC", "P-256" };
        bool Fits(JsonElement key) => key.ValueKind == JsonValueKind.Object
            && new[] { "kid", "alg", "kty", "crv" }.Select(name => Text(key, name)).SequenceEqual(wanted);
        await door.WaitAsync();
        try
        {
            var now = Environment.TickCount64 / 1000;
            if (asked is null || now - asked > (keys.Any(Fits) ? 300 : 10))
            {
                (asked, keys) = (now, Array.Empty<JsonElement>()); // What cannot be read is empty: nobody is let through.
                var isUrl = new[] { "http:", "https:" }.Any(scheme => source.StartsWith(scheme, StringComparison.Ordinal));
                var text = isUrl ? await Http.GetStringAsync(source) : await File.ReadAllTextAsync(source);
                using var set = JsonDocument.Parse(text);
                keys = set.RootElement.GetProperty("keys").Clone().EnumerateArray().ToArray();
            }
            return keys.First(Fits);
        }
        finally
        {
            door.Release();
        }
    }
}
