// The keys of Anteport, for AnteportVerifier.cs: fetched and kept.
#nullable enable
using System;
using System.Linq;
using System.Security;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

internal sealed class AnteportKeys
{
    private const int Fresh = 300; // seconds for which nobody asks again
    private const int Pause = 10; // between two questions, whatever is wanted
    private const int Last = 1200; // after these, what could not be renewed counts no more
    private sealed record Kept(JsonElement[] Keys, long Asked, long Got);
    private readonly SemaphoreSlim door = new(1, 1);
    private readonly string source;
    private volatile Kept kept = new(Array.Empty<JsonElement>(), Now - Last, Now - Last);

    public AnteportKeys(string source) => this.source = AnteportKeyReader.Safe(source);

    /// <summary>Where it is said why there are no keys.</summary>
    public Action<string> Warn { get; set; } = Console.Error.WriteLine;

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
        if (found.Length == 0 && now.Got < now.Asked) throw new AnteportUnavailableException();
        return found.Length > 0 ? found[0] : throw new SecurityException("no such key");
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
            var keys = await AnteportKeyReader.ReadAsync(source);
            kept = kept with { Keys = keys, Got = Now };
        }
        catch (Exception failed)
        {
            Warn($"anteport: no keys from {source}: {failed.Message.ReplaceLineEndings(" ")}");
        }
    }
}
