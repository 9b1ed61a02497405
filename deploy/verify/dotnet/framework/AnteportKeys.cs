// The keys of Anteport, for AnteportVerifier.cs: fetched and kept.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Security;

/// <summary>There are no keys to verify with. It says nothing about who asks, who may come again.</summary>
public sealed class AnteportUnavailableException : Exception
{
    public AnteportUnavailableException() : base("the keys cannot be had") { }
}

internal sealed class AnteportKeys
{
    private const int Fresh = 300; // seconds for which nobody asks again
    private const int Pause = 10; // between two questions, whatever is wanted
    private const int Last = 1200; // after these, what could not be renewed counts no more
    private readonly object door = new object();
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly string source;
    private volatile Dictionary<string, object>[] keys = new Dictionary<string, object>[0];
    private volatile int asked = -Last, got = -Last;

    public AnteportKeys(string source) { this.source = AnteportKeyReader.Safe(source); }

    private int Now { get { return (int)clock.Elapsed.TotalSeconds; } }

    /// <summary>The key of that id. Who waits for the answer is who asks, and who has no key without it.</summary>
    public Dictionary<string, object> Find(string kid)
    {
        if (IsDue(kid) || Kept(kid) == null)
        {
            lock (door)
            {
                if (IsDue(kid)) Ask();
            }
        }
        var key = Kept(kid);
        if (key == null && got < asked) throw new AnteportUnavailableException();
        if (key == null) throw new SecurityException("no such key");
        return key;
    }

    private Dictionary<string, object> Kept(string kid)
    {
        var all = Now - got < Last ? keys : new Dictionary<string, object>[0];
        return all.FirstOrDefault(key => AnteportVerifier.Text(key, "kid") == kid);
    }

    private bool IsDue(string kid)
    {
        return Now - asked > Pause && (Now - got > Fresh || Kept(kid) == null);
    }

    /// <summary>What cannot be read changes nothing yet: one bad answer turns nobody away.</summary>
    private void Ask()
    {
        asked = Now;
        try
        {
            keys = AnteportKeyReader.Read(source);
            got = Now;
        }
        catch (Exception failed)
        {
            Trace.TraceWarning("anteport: no keys from " + source + ": " + failed.Message);
        }
    }
}
