// From the values of the header to the member's claims, for AnteportModule.cs beside it.
using System;
using System.Collections.Generic;
using System.Security;

public sealed partial class AnteportVerifier
{
    private const int Leeway = 30; // seconds that two clocks may differ
    private const int Longest = 300; // an assertion lives for a minute: one that claims more is not ours
    private const int Largest = 8192;
    private readonly string issuer, audience;
    private readonly AnteportKeys keys;

    public AnteportVerifier(string issuer, string audience, string keys)
    {
        this.issuer = issuer;
        this.audience = audience;
        this.keys = new AnteportKeys(keys);
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
        var key = keys.Find(Text(header, "kid"));
        Must(IsSigned(key, parts[0] + "." + parts[1], signature), "no key of Anteport signed it");
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
}
