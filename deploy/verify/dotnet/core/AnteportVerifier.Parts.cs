// How AnteportVerifier.cs reads the parts of an assertion, and whether a key has signed.
#nullable enable
using System;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

public sealed partial class AnteportVerifier
{
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

    internal static bool IsPoint(JsonElement key) => key.ValueKind == JsonValueKind.Object
        && (Text(key, "alg"), Text(key, "kty"), Text(key, "crv")) == ("ES256", "EC", "P-256");
}

/// <summary>There are no keys to verify with. It says nothing about who asks, who may come again.</summary>
public sealed class AnteportUnavailableException : Exception
{
    public AnteportUnavailableException() : base("the keys cannot be had") { }
}
