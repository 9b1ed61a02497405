// How the keys of Anteport are fetched and read, for AnteportKeys.cs.
#nullable enable
using System;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

internal static class AnteportKeyReader
{
    // The keys come from where they are said to be: no proxy of the system has a part in it, and no redirect.
    private static readonly HttpClient Http = new(new HttpClientHandler { AllowAutoRedirect = false, UseProxy = false })
        { Timeout = TimeSpan.FromSeconds(5) };

    /// <summary>Who can change the keys on their way is everybody: over TLS, from this machine, or a file.</summary>
    internal static string Safe(string source)
    {
        const string Ways = @"^(https://|http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?/|(?![a-zA-Z][a-zA-Z\d+.-]+:))";
        if (Regex.IsMatch(source, Ways)) return source;
        throw new ArgumentException("keys come over https, from this machine or out of a file alone");
    }

    internal static async Task<JsonElement[]> ReadAsync(string source)
    {
        var isUrl = new[] { "http:", "https:" }.Any(it => source.StartsWith(it, StringComparison.Ordinal));
        using var set = JsonDocument.Parse(isUrl ? await FetchAsync(source) : await File.ReadAllTextAsync(source));
        var keys = set.RootElement.GetProperty("keys").Clone().EnumerateArray().ToArray();
        if (!keys.Any(AnteportVerifier.IsPoint)) throw new InvalidDataException("none of them is for ES256");
        return keys;
    }

    private static async Task<string> FetchAsync(string source)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, source);
        // A cache on the way may have a key that was withdrawn.
        request.Headers.CacheControl = new CacheControlHeaderValue { NoCache = true };
        using var answer = await Http.SendAsync(request);
        return await answer.EnsureSuccessStatusCode().Content.ReadAsStringAsync();
    }
}
