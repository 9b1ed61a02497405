// The keys of Anteport, for AnteportVerifier.cs: fetched, kept, and whether one has signed.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Security.Cryptography;
using System.Text;

public sealed partial class AnteportVerifier
{
    private readonly object door = new object();
    private readonly System.Diagnostics.Stopwatch clock = System.Diagnostics.Stopwatch.StartNew();
    private List<Dictionary<string, object>> keys = new List<Dictionary<string, object>>();
    private TimeSpan? asked;

    private static bool IsSigned(Dictionary<string, object> key, string text, byte[] signature)
    {
        var point = new ECPoint { X = Bytes(Text(key, "x")), Y = Bytes(Text(key, "y")) };
        var parameters = new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point };
        using (var algorithm = ECDsa.Create(parameters))
        {
            return algorithm.VerifyData(Encoding.ASCII.GetBytes(text), signature, HashAlgorithmName.SHA256);
        }
    }

    /// <summary>The keys are kept for five minutes; an unknown key id asks again, at most every ten seconds.</summary>
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
                // What cannot be read is empty: nobody is let through.
                keys = new List<Dictionary<string, object>>();
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
