// How the keys of Anteport are fetched and read, for AnteportKeys.cs.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

internal static class AnteportKeyReader
{
    /// <summary>Who can change the keys on their way is everybody: over TLS, from this machine, or a file.</summary>
    internal static string Safe(string source)
    {
        const string Ways = @"^(https://|http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?/|(?![a-zA-Z][a-zA-Z\d+.-]+:))";
        if (Regex.IsMatch(source, Ways)) return source;
        throw new ArgumentException("keys come over https, from this machine or out of a file alone");
    }

    internal static Dictionary<string, object>[] Read(string source)
    {
        var all = ((object[])AnteportVerifier.Json(Text(source))["keys"]).OfType<Dictionary<string, object>>();
        var kind = new[] { "ES256", "EC", "P-256" };
        var keys = all.Where(key => new[] { "alg", "kty", "crv" }.Select(name => AnteportVerifier.Text(key, name))
            .SequenceEqual(kind)).ToArray();
        if (keys.Length == 0) throw new InvalidDataException("none of them is for ES256");
        return keys;
    }

    /// <summary>From where it is said to be: no proxy of the system has a part in it, and no redirect.</summary>
    private static string Text(string source)
    {
        var isUrl = new[] { "http:", "https:" }.Any(scheme => source.StartsWith(scheme, StringComparison.Ordinal));
        if (!isUrl) return File.ReadAllText(source);
        var request = (HttpWebRequest)WebRequest.Create(source);
        request.Timeout = 5000;
        request.AllowAutoRedirect = false;
        request.Proxy = null;
        request.Headers["Cache-Control"] = "no-cache"; // A cache on the way may have a key that was withdrawn.
        using (var answer = (HttpWebResponse)request.GetResponse())
        using (var reader = new StreamReader(answer.GetResponseStream(), Encoding.UTF8))
        {
            if (answer.StatusCode != HttpStatusCode.OK) throw new InvalidDataException("status " + answer.StatusCode);
            return reader.ReadToEnd();
        }
    }
}
