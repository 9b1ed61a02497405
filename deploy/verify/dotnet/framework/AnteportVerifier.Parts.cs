// How AnteportVerifier.cs reads the parts of an assertion, and whether a key has signed.
using System;
using System.Collections.Generic;
using System.Security.Cryptography;
using System.Text;
using System.Web.Script.Serialization;

public sealed partial class AnteportVerifier
{
    internal static string Text(Dictionary<string, object> from, string name)
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

    private static bool IsSigned(Dictionary<string, object> key, string text, byte[] signature)
    {
        var point = new ECPoint { X = Bytes(Text(key, "x")), Y = Bytes(Text(key, "y")) };
        var parameters = new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point };
        using (var algorithm = ECDsa.Create(parameters))
        {
            return algorithm.VerifyData(Encoding.ASCII.GetBytes(text), signature, HashAlgorithmName.SHA256);
        }
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

    internal static Dictionary<string, object> Json(string text)
    {
        return new JavaScriptSerializer().DeserializeObject(text) as Dictionary<string, object>;
    }
}
