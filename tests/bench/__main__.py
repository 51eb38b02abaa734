"""`make bench`: every speed that the README quotes, each compared side by side within one run."""

from tests.bench import analysis, bootstrap, decoding, dry_run, duplicates, imports, store, training

if __name__ == "__main__":
    for benchmark in (training, imports, bootstrap, analysis, decoding, store, duplicates, dry_run):
        print(f"== {str(benchmark.__doc__).splitlines()[0]}", flush=True)
        benchmark.main()
