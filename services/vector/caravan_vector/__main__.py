from caravan_vector.app import main

main()
