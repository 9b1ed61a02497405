// The keys of Anteport, for AnteportVerifier.cs: fetched and kept.
#nullable enable
using System;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

internal sealed class AnteportKeys
{
    private const int Fresh = 300; // seconds for which nobody asks again
    private const int Pause = 10; // between two questions, whatever is wanted
    private const int Last = 1200; // after these, what could not be renewed counts no more
    private sealed record Kept(JsonElement[] Keys, long Asked, long Got, Exception? Failure);

    // The keys come from where they are said to be: no proxy of the system has a part in it, and no redirect.
    private static readonly HttpClient Http = new(new HttpClientHandler { AllowAutoRedirect = false, UseProxy = false })
        { Timeout = TimeSpan.FromSeconds(5) };
    private readonly SemaphoreSlim door = new(1, 1);
    private readonly string source;
    private volatile Kept kept = new(Array.Empty<JsonElement>(), Now - Last, Now - Last, null);

    public AnteportKeys(string source) => this.source = source;

    private static long Now => Environment.TickCount64 / 1000;

    /// <summary>The first key that fits. Who waits for the answer is who asks, and who has no key without it.</summary>
    public async Task<JsonElement> FindAsync(Func<JsonElement, bool> fits)
    {
        if (IsDue(fits) || !Fitting(fits).Any())
        {
            await door.WaitAsync();
            try
            {
                if (IsDue(fits)) await AskAsync();
            }
            finally
            {
                door.Release();
            }
        }
        var (now, found) = (kept, Fitting(fits));
        if (found.Length == 0 && now.Got < now.Asked) throw new AnteportUnavailableException(now.Failure);
        return found.First();
    }

    private JsonElement[] Fitting(Func<JsonElement, bool> fits) =>
        Now - kept.Got < Last ? kept.Keys.Where(fits).Take(1).ToArray() : Array.Empty<JsonElement>();

    private bool IsDue(Func<JsonElement, bool> fits) =>
        Now - kept.Asked > Pause && (Now - kept.Got > Fresh || Fitting(fits).Length == 0);

    /// <summary>What cannot be read changes nothing yet: one bad answer turns nobody away.</summary>
    private async Task AskAsync()
    {
        kept = kept with { Asked = Now };
        try
        {
            var isUrl = new[] { "http:", "https:" }.Any(it => source.StartsWith(it, StringComparison.Ordinal));
            var text = isUrl ? await Http.GetStringAsync(source) : await File.ReadAllTextAsync(source);
            using var set = JsonDocument.Parse(text);
            var keys = set.RootElement.GetProperty("keys").Clone().EnumerateArray().ToArray();
            if (!keys.Any(AnteportVerifier.IsPoint)) throw new InvalidDataException("none of them is for ES256");
            kept = new Kept(keys, kept.Asked, Now, null);
        }
        catch (Exception failed)
        {
            kept = kept with { Failure = failed };
        }
    }
}
