from caravan_inference.app import main

main()
