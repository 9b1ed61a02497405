// How AnteportVerifier.cs reads the parts of an assertion, and what is in them.
using System;
using System.Collections.Generic;
using System.Text;
using System.Web.Script.Serialization;

public sealed partial class AnteportVerifier
{
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
}
