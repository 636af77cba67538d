from caravan_files.app import main

main()
