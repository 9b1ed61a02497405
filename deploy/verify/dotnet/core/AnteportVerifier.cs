// From the values of the header to the member's claims, for AnteportMiddleware.cs beside it.
#nullable enable
using System;
using System.Security;
using System.Text;
using System.Text.Json;
using System.Threading.Tasks;

public sealed partial class AnteportVerifier
{
    private const int Leeway = 30; // seconds that two clocks may differ
    private const int Longest = 300; // an assertion lives for a minute: one that claims more is not ours
    private const int Largest = 8192;
    private readonly string issuer, audience;
    private readonly AnteportKeys keys;

    public AnteportVerifier(string issuer, string audience, string keys) =>
        (this.issuer, this.audience, this.keys) = (issuer, audience, new AnteportKeys(keys));

    /// <summary>Where it is said why there are no keys: standard error, or the middleware's log.</summary>
    public Action<string> Warn { set => keys.Warn = value; }

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
        var key = await keys.FindAsync(it => IsPoint(it) && Text(it, "kid") == Text(header, "kid"));
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
        var isNumber = from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number;
        Must(isNumber, "a time is no number");
        return value.GetDouble();
    }

    private static JsonElement Object(string part)
    {
        using var document = JsonDocument.Parse(new UTF8Encoding(false, true).GetString(Bytes(part)));
        Must(document.RootElement.ValueKind == JsonValueKind.Object, "a part is no JSON object");
        return document.RootElement.Clone();
    }
}
