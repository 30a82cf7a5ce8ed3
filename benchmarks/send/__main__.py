from benchmarks.send.run import main

main()
