from caravan_recorder.app import main

main()
