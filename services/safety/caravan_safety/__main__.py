from caravan_safety.app import main

main()
