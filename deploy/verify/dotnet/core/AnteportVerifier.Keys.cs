// The keys of Anteport, for AnteportVerifier.cs: fetched, kept, and whether one has signed.
#nullable enable
using System;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

public sealed partial class AnteportVerifier
{
    private static readonly HttpClient Http =
        new(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };
    private readonly SemaphoreSlim door = new(1, 1);
    private JsonElement[] keys = Array.Empty<JsonElement>();
    private long? asked;

    /// <summary>Strict base64url: no padding, no white space, no bits left over.</summary>
    private static byte[] Bytes(string part)
    {
        var padding = new string('=', (4 - part.Length % 4) % 4);
        var bytes = Convert.FromBase64String(part.Replace('-', '+').Replace('_', '/') + padding);
        var again = Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        Must(again == part, "a part is not base64url");
        return bytes;
    }

    private static bool IsSigned(JsonElement key, string text, byte[] signature)
    {
        var point = new ECPoint { X = Bytes(Text(key, "x")!), Y = Bytes(Text(key, "y")!) };
        using var algorithm = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point });
        return algorithm.VerifyData(Encoding.ASCII.GetBytes(text), signature, HashAlgorithmName.SHA256);
    }

    /// <summary>The keys are kept for five minutes; an unknown key id asks again, at most every ten seconds.</summary>
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
                // What cannot be read is empty: nobody is let through.
                (asked, keys) = (now, Array.Empty<JsonElement>());
                var schemes = new[] { "http:", "https:" };
                var isUrl = schemes.Any(scheme => source.StartsWith(scheme, StringComparison.Ordinal));
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
