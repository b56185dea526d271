// The keyword rules: data only. Which words speak for which domain, how strongly, and what takes their meaning away.
// May import experts/ (types). How phrases are written stands in patterns.ts.
import type { ExpertDomain } from "../experts/expert.ts";
import type { WordClasses } from "./patterns.ts";

export interface KeywordRule {
  /** For people: "programming languages". */
  readonly name: string;
  readonly domain: ExpertDomain;
  /** Log-odds of each distinct hit; negative ones speak against the domain. */
  readonly weight: number;
  /** Half of the weight is taken from this domain instead: the rule tells the two apart and leaves the rest alone. */
  readonly against?: ExpertDomain;
  /** The most that all hits of the rule add up to, in the direction of `weight`; absent: one hit's weight. */
  readonly cap?: number;
  /** Phrases by the language of the prompts that hold them; `any` where it makes no difference. */
  readonly phrases: Readonly<Partial<Record<"en" | "es" | "other" | "any", string>>>;
  /** Text without spaces between words (Chinese, Japanese, Thai): found anywhere. Separated by spaces. */
  readonly fragments?: string;
  /** Phrases anywhere in the prompt that make the rule void: other senses of its words. */
  readonly unless?: string;
  /** The rule holds only in prompts of at most so many words. */
  readonly maxWords?: number;
}

export const wordClasses: WordClasses = {
  /** Human languages. */
  language: `english spanish french german italian portuguese catalan galician basque chinese mandarin cantonese japanese
    korean russian arabic hindi bengali urdu tamil telugu thai vietnamese indonesian malay tagalog filipino turkish
    persian farsi hebrew greek polish czech slovak slovenian croatian serbian bosnian bulgarian romanian hungarian
    ukrainian belarusian lithuanian latvian estonian finnish swedish norwegian danish dutch icelandic irish gaelic welsh
    latin esperanto swahili afrikaans albanian armenian georgian macedonian occitan asturian quechua nahuatl guarani
    maori hawaiian zulu mongolian kazakh khmer
    ingles castellano frances aleman italiano portugues gallego euskera vasco vascuence chino mandarin japones
    coreano ruso arabe bengali tailandes vietnamita indonesio malayo turco persa hebreo griego polaco checo eslovaco
    esloveno croata serbio bosnio bulgaro rumano hungaro ucraniano bielorruso lituano leton estonio finlandes finés
    sueco noruego danes neerlandes holandes islandes irlandes gaelico gales latin suajili swahili albanes armenio
    georgiano macedonio occitano asturiano espanol valenciano
    anglais allemand espagnol francais inglese spagnolo francese tedesco englisch spanisch franzosisch deutsch
    italienisch ingles alemao`,
  /** Nouns that nearly always mean a picture that somebody has sent. */
  picture: `image picture photo pic photograph screenshot snapshot images pictures photos pics photographs screenshots img
    imagen foto fotografia captura pantallazo imagenes fotos fotografias capturas fotito selfie fotograma fotogramas`,
  /** Nouns that mean a picture only with "this", "attached" and the like. */
  figure: `chart graph diagram drawing painting poster sketch infographic map xray xray meme illustration scan figure plot
    logo screen mockup flowchart receipt invoice handwriting label sign ticket artwork cartoon portrait document pdf form
    grafico grafica diagrama dibujo cuadro cartel radiografia mapa esquema ilustracion escaneo plano etiqueta factura
    recibo letrero infografia pintura retrato vineta boceto documento formulario tabla fotograma figura pizarra lamina anuncio fotocopia
    allegato grafik diagramm schema schermata capture dessin graphique desenho`,
  this: `this these attached uploaded following provided given shown above below accompanying enclosed
    esta este estas estos adjunta adjunto adjuntas adjuntos`,
  the: `the my el la las los mi mis`,
  /** Programming languages and tools whose names mean nothing else. */
  programming: `python3 javascript typescript golang php mysql postgresql postgres sqlite mongodb sql plsql html html5 css css3
    scss sass bash powershell kotlin haskell scala matlab fortran cobol clojure elixir erlang ocaml lua perl prolog
    fsharp c++ c# f# vb vba vbscript jquery ajax react reactjs angular angularjs vuejs nodejs nextjs django flask fastapi
    laravel symfony codeigniter wordpress drupal joomla magento rails hibernate struts linq wpf winforms silverlight
    asp aspx jsp jsf servlet servlets tomcat maven gradle webpack npm numpy pandas scipy matplotlib sklearn tensorflow
    pytorch keras opencv tkinter pygame docker kubernetes kubectl terraform ansible nginx github gitlab svn tortoisesvn
    xcode cocoa uikit uitableview xaml xslt xpath xquery json yaml graphql tailwind bootstrap
    redux jsx tsx typescript webgl opengl cuda cmake makefile gcc clang valgrind gdb vim emacs vscode intellij
    latex regexp regex regexes div js ts git debounce vlookup xlookup endpoint endpoints setstate nginx dockerfile makefile gitignore awk sed grep crontab cron ssh curl wget ffmpeg systemctl chmod rsync tarball
    dataframe dataframes numpy ggplot2 ggplot rstudio solidity webassembly wasm dotnet nuget mvc orm crud jvm sdk
    qt qml gtk haxe actionscript flex firebase redis kafka rabbitmq elasticsearch selenium pytest junit eslint babel
    cython pyspark hadoop hive tsql nosql oop api apis regex springboot arduino verilog vhdl mapreduce
    ejb jdbc odbc jpa subversion mercurial macos osx firefox prisma nestjs vite vitest supabase firestore vercel netlify heroku gcp openssl ssl htaccess wsdl linux bsd mfc gwt extjs mootools dojo backbone ember svelte vuex zod pydantic sqlalchemy asyncio langchain huggingface linqpad resharper netbeans eclipse textmate applet applets mysqli pdo phpunit sdl vlc ios android dotnet ui gui ide cli orm xcode uiview uitextfield ajax ansi utf8 ascii hql ddl jsonb tsvector tfidf dropwizard ktor rxjs webrtc websocket websockets http2 tcp udp dns cdn vpc stdin stdout stderr localstorage useeffect usestate middleware ado wcf sharepoint applescript autohotkey xml dom svg oauth jwt cors localhost`,
  /** Words for code wherever they stand. */
  codeNoun: `function functions method methods class classes variable variables array arrays string strings loop loops
    script scripts algorithm query queries database databases server compiler parser pointer pointers struct structs
    constructor boolean integer integers float tuple tuples dictionary dictionaries dict hashmap enum lambda closure
    callback recursion thread threads mutex exception exceptions runtime syntax code codes program programs module
    package packages library framework plugin debug debugger bug compile compiles repository repo commit branch
    endpoint backend frontend website webpage app software command terminal shell
    funcion funciones metodo metodos clase clases variable variables arreglo arreglos cadena cadenas bucle bucles script
    algoritmo consulta consultas servidor compilador puntero punteros constructor booleano entero enteros tupla
    diccionario recursividad excepcion sintaxis codigo programa modulo paquete libreria biblioteca rama repositorio
    terminal consola comando vector lista listas matriz
    fonction funzione funktion funcao code codice codigo programm programme programma`,
};

export const keywordRules: readonly KeywordRule[] = [
  // ---------------------------------------------------------------- coding
  {
    name: "programming languages and tools",
    domain: "coding",
    weight: 3.4,
    cap: 6,
    phrases: {
      any: `{programming}, node js, next js, vue js, react native, visual studio, vs code, ruby on rails, spring boot, stack
        overflow, asp net, net core, net framework, entity framework, objective c, google apps script, power bi, raspberry pi,
        app engine, internet explorer, command line, linea de comandos, pull request, merge conflict, unit test|tests,
        pruebas unitarias, test unitario, tests unitarios, stack trace, segmentation fault, null pointer, design pattern*,
        data structure*, estructura* de datos, expresion regular, expresiones regulares, regular expression*, source code,
        codigo fuente, web service|services, http request*, rest api, big o, binary search, linked list*, lista enlazada,
        primary key, foreign key, clave primaria, clave foranea, stored procedure*, text box, combo box, check box, drop down,
        user control, data binding, view controller, table view, file system, mac os x, os x, eclipse plugin*, active record,
        shell script, excel macro, macro de excel, excel formula, formula de excel, base de datos, bases de datos,
        pseudocode, pseudocodigo, leetcode, fizzbuzz, fizz buzz, hello world, hola mundo en`,
    },
  },
  {
    name: "names of programming errors",
    domain: "coding",
    weight: 3.5,
    phrases: {
      any: `traceback, stacktrace, segfault, nullpointerexception, typeerror, valueerror, keyerror, indexerror, syntaxerror,
        importerror, modulenotfounderror, attributeerror, nameerror, referenceerror, runtimeerror, undefined is not,
        is not defined, cannot read property|properties, no module named, module not found, syntax error, error de sintaxis,
        stack overflow error, out of memory error, compile error, compilation error, error de compilacion, exit code,
        deadlock, memory leak, core dumped, permission denied, cannot find symbol, undefined reference, infinite loop,
        bucle infinito, off by one, merge conflict`,
    },
  },
  {
    name: "python",
    domain: "coding",
    weight: 3,
    phrases: { any: "python*" },
    unless: `snake*, reptile*, zoo, pet, cage, hatchling*, venom*, bite*, bit, species, burmese, royal python, ball python, jungle, monty, egg*, prey,
      terrarium, serpiente*, reptil*, selva, veneno*, muerde, mordio, mordedura, especie*, birmana, terrario, piton, mascota,
      eat, eats, come, comen, crece`,
  },
  {
    name: "java",
    domain: "coding",
    weight: 3,
    phrases: { any: "java" },
    unless: `island, indonesia, coffee, isla, cafe, volcan*, jakarta, borneo, sumatra, javanese, travel*, trip, visit*, viajar,
      viaje, beaches, playas`,
  },
  {
    name: "ruby",
    domain: "coding",
    weight: 2.5,
    phrases: { any: "ruby" },
    unless: `gem, gemstone*, ring, jewel*, diamond*, emerald*, necklace, sapphire, anillo, joya*, gema, red, rojo, color,
      wedding, slippers, birthstone, anniversary, sister, friend, daughter, hermana, amiga, bridges, is a girl, july`,
  },
  {
    name: "swift",
    domain: "coding",
    weight: 2,
    phrases: { any: "swift, swiftui" },
    unless:
      "taylor, jonathan, bird*, reply, response, recovery, swift and, suzuki, gulliver*, concert, song*, album*, code, transfer",
  },
  {
    name: "rust",
    domain: "coding",
    weight: 2,
    phrases: { any: "rust, rustc, cargo build" },
    unless:
      "iron, metal, car, remove rust, rust from, stain*, tool*, prevent rust, belt, bike, oxid*, steel, knife, pan, mathew, fungus",
  },
  {
    name: "go, c, r and other short names",
    domain: "coding",
    weight: 3,
    phrases: {
      any: `in|using|with go $, in go how, go program, go function, go struct*, go routine*, goroutine*, go code, go module*,
        go slice*, go map, go interface*, go channel*, en go $, en go que, funcion|programa|codigo|script de|en go,
        in c $, in c how, c program*, c function, c code, c language, c pointer*, c array*, c compiler, ansi c, en c $,
        programa|funcion|codigo|lenguaje|escribe en c, lenguaje c, in r $, r function, r script, r data, r package, r code,
        en r $, programa|funcion|codigo|script en r, dart, flutter, julia code|function|program, in julia, en julia,
        scratch program, apex class, groovy, delphi, pascal program, turbo pascal, in pascal, en pascal, lisp, common lisp,
        assembly code|language, ensamblador, basic program, visual basic, d language, nim code, zig, ado net, git,
        shell, unix, linux, ubuntu, debian, centos, apache, oracle, spring, excel, access vba, android, ios, jenkins, heroku,
        aws, azure, lambda function`,
    },
    unless:
      "penguin, apache helicopter, apache tribe, oracle of, spring break|flowers|season|cleaning|roll|rolls, seashell, sea shell, egg shell, shell company, in spring, primavera, vitamin c, spring is",
  },
  {
    name: "named as the language to use",
    domain: "coding",
    weight: 3.5,
    phrases: {
      any: `in|using|with|en|con|usando|em|com|mit|auf|avec|nel|per {programming}|python|java|ruby|swift|perl|matlab|unity, in|en|em go|rust|c|r|dart|julia, 用|使用|写|编写|的|で|на|على|في|w|v|på|bằng|bang|dengan|con|di {programming}|python|java, {programming}|python|java|ruby|swift code|script|function|program|class|list|query|command|error|one, codigo|script|funcion|programa|clase|lista|consulta|comando|error|proyecto de|en|con {programming}|python|java|ruby|swift|go|rust|unity|express|jest,
        in programming, en programacion, write ... regex`,
    },
    unless:
      "volcano, island*, coffee, snake*, serpiente*, taylor, isla, zoo, cafe, c major|minor|sharp|flat, vitamin, key of c, trip, travel, vacation, viajar, playa, serpent*, ball python, reptile*",
  },
  {
    name: "write or mend code",
    domain: "coding",
    weight: 4,
    phrases: {
      en: `write|create|make|build|implement|design|develop|construct|define|code|generate|give ... {codeNoun} ... that|to|which|for|using|in|with|from,
        write|create|build|implement|develop|code ... function|program|script|method|algorithm|class|query|regex|macro|endpoint|component|webpage|website|app,
        fix|debug|refactor|optimize|optimise|review|explain|improve|document|test|simplify|complete ... code|function|script|query|bug|class|program|snippet|method|component|loop|regex,
        what does this|the ... code|function|script|query|snippet|regex|command ... do|mean|print|return, what is wrong with ... code|function|script|query|loop,
        how ... compile|debug|deploy|refactor, code for, code to, code that, code snippet, sample code, source code, function that|to|which, function for|called|named, script that|to|for|which, program that|which|to,
        command to, unit tests for, add ... comments to ... code|function, return|returns a|the|true|false|an, given a|an list|array|string|integer|matrix, this error, the error message, error when, error while, explain ... error, get* ... error, throws an|exception, error code, exception, unit tests for, write tests, test cases for, explain what this does, what does this do, why does this not work, why is this not working, does not compile, refactor this, optimize and comment, foreign key, hook call, given two|three|n lists|arrays|strings|integers,
        given list|array|string|tuple|dictionary|matrix, the given list|array|string|tuple|dictionary|number|tuples|lists|strings, nested list|lists|tuple|tuples|dictionary,
        how ... convert ... string|array|list|json|int|integer|dict|xml|csv, convert ... to json|csv|xml|int|integer|array|dict|string|hex|binary`,
      es: `escribe|escribeme|crea|creame|haz|hazme|implementa|programa|desarrolla|genera|dame|construye|define|necesito|quiero ... funcion|script|programa|metodo|algoritmo|clase|consulta|query|regex|macro|codigo|endpoint|componente|comando ... que|para|en|de|con,
        escribe|crea|haz|implementa|desarrolla ... funcion|script|programa que, programa que, funcion que, script que|para, codigo que|para, comando para, consulta sql,
        arregla|corrige|depura|refactoriza|optimiza|revisa|explica|explicame|mejora|documenta|simplifica|completa ... codigo|funcion|script|query|consulta|bug|clase|snippet|metodo|bucle|regex,
        que hace este|esta|el|la ... codigo|funcion|script|consulta|comando|query, que devuelve ... codigo|funcion, por que ... codigo|funcion|script|programa ... falla|error|compila, no compila, no me compila,
        como ... compilar|depurar|compilo|depuro|despliego|programar|programo, implementa, este error, el error, me sale ... error, aparece ... error, tengo|da ... error, error al, pruebas unitarias, pruebas para, documentacion de este|esta, optimiza y comenta, explica que hace, que hace esto, por que no funciona esto, no me funciona esto, desde cero con, rompe mi proyecto, mi proyecto con|de, retorne|devuelva, devolver ... lista, dada|dado es un palindromo, cadena dada, recorrer un|una array|lista|vector|diccionario|objeto,
        eres un programador, debe devolver, funcion debe, dada una lista|cadena|matriz, dado un array|vector|string|numero|entero, por parametro*, convertir ... a json|csv|xml|int|entero|array|string|binario`,
      other: `ecris|ecrivez|cree ... fonction|script|programme|code, schreibe|schreib|erstelle ... funktion|skript|programm|code|script,
        escreva|crie ... funcao|script|programa|codigo, scrivi|crea ... funzione|script|programma|codice, escriu ... funcio|programa|script,
        comment faire ceci en, como faco isso em, retorna|retorne|retourne|renvoie|renvoyer|restituisce|ritorna|retourner|retornar un|une|uma|o|a|le|la|verdadeiro|vrai|true|elementos|les, recebera uma|um, implementiere, gib ... zuruck, rueckgabe, l'output, fonction qui, funktion die, funcao que, funzione che`,
    },
    fragments:
      "函数 代码 编程 程序 算法 脚本 数组 字符串 変数 関数 コード プログラム 함수 코드 프로그램 функци программ скрипт الدالة دالة برنامج",
  },
  {
    name: "short code request",
    domain: "coding",
    weight: 1.5,
    maxWords: 9,
    phrases: {
      en: `{codeNoun} for, loop through, iterate over, sort|reverse|filter|merge|flatten|split|parse|append|slice|concat* ... list|array|string|dict|map|json|objects,
        how ... center|centre a div, undo ... commit, null vs undefined, read|write|open|parse|load ... file, kill process|port, port 3000|8080|80|443|5432|3306, s3 bucket, to s3, list files, delete branch, rename ... branch|column|variable,
        convert ... string, remove duplicates, how to exit vim, env variable*, environment variable*, default value, foreach, try catch, for loop, while loop, if else, switch case, async await, left join, inner join, group by, order by`,
      es: `{codeNoun} para, recorrer, ordenar|invertir|filtrar|unir|aplanar|partir|parsear ... lista|array|cadena|diccionario|mapa|json|vector,
        centrar un div, deshacer ... commit, leer|escribir|abrir|parsear|cargar ... archivo|fichero, matar ... proceso, listar archivos|ficheros, borrar ... rama, renombrar ... columna|rama|variable,
        quitar|eliminar duplicados, variable* de entorno, valor por defecto, bucle for|while, condicional`,
    },
  },
  {
    name: "programming words",
    domain: "coding",
    weight: 1.3,
    cap: 5,
    phrases: {
      any: `{codeNoun}`,
      en: `bytes, byte, parameter*, argument|arguments, return, returns, returning, iterate*, instance*, implement*, template*, interface*, inherit*, namespace*, refactor*,
        deploy*, config, configuration, configure, install*, import*, export*, directory, directories, folder*, file, files, filename*, path, paths, url, urls, http, https, ip, port, socket*, browser*,
        button, textbox, dropdown, checkbox, listview, gridview, datagrid, div, iframe, popup, css, widget*, layout, render*, header*, cookie*, session*, login, authentication, token*, cache, caching, encrypt*,
        hash, hashing, sort, sorting, sorted, index*, column*, row, rows, table*, join, insert, update, delete, select, null, nullable, undefined, NaN, true, false, int, char, list, lists, tree, node, nodes, graph*, stack, queue, heap, binary, bit, bits,
        encoding, unicode, utf, ascii, timestamp*, datetime, timezone, async*, await, promise*, event, events, handler*, listener*, serialize*, deserialize*, validation, validate*, input, output, stdout, stdin, print, echo,
        programmatically, recursive*, duplicate*, subdirectory, subdirectories, whitespace*, uppercase, lowercase, delimiter*, regex*, wildcard*, multithread*, asynchronous*, dynamically, mysql, jar, dll, exe, zip, csv, pdf generation, client side, server side,
        deprecated, compatible, version, versions, build, project, solution, repository, controller*, model binding, view, views, animation, canvas, pixel*, sprite*, loop, syntax, symlink*, hostname, localhost, process, processes, pid, cpu, kernel, environment, variable, developer, programming, coding, coder`,
      es: `parametro*, argumento|argumentos, devuelve, devuelva, retorna, retorne, retornar, instancia*, implement*, plantilla*, interfaz, herencia, desplegar, configur*, instal*, import*, export*, directorio*, carpeta*, archivo, archivos, fichero*, ruta, rutas, url, http, puerto, socket, navegador,
        boton, columna*, fila, filas, tabla, indice, nulo, undefined, arbol binario, pila, cola, binario, bits, codificacion, unicode, utf, asincron*, evento, eventos, validar, validacion, entrada, salida, imprime, imprimir, recursiv*, duplicados, mayusculas, minusculas, depurar, compilar,
        lenguaje de programacion, programacion, programador*, desarrollador*, hilo, hilos, proceso, procesos, token, sesion, cookie, cache, cifrar, api, web, pagina web, version, proyecto`,
      other: `string, strings, integer, array, liste, zahlen, entiers, inteiros, interi, chaine, zeichenkette, stringa, parametre, rueckgabe`,
    },
    unless: "act as, imagine you are, ponte en el lugar, role play, roleplay, essay, ensayo, poem, poema, story about",
  },
  {
    name: "command-line work",
    domain: "coding",
    weight: 2.2,
    cap: 4.4,
    phrases: {
      en: `find|search|list|count|delete|remove|copy|move|print|display|show|compress|archive|rename ... files|directories|directory|folders|subdirectories, current directory|folder, home directory, symbolic link*, standard output|input|error, recursively,
        the file|files named, in the directory, regular files, file* ending in|with, files older|newer|modified|larger|bigger than, lines from|of|in ... file, disk usage, environment variable, remote host, background process*, file permission*, prepend, crontab`,
      es: `buscar|listar|contar|borrar|copiar|mover|imprimir|comprimir ... archivos|ficheros|carpetas|directorios, directorio actual, enlace simbolico, salida estandar, recursivamente`,
    },
  },
  {
    name: "translation of what a program says",
    domain: "coding",
    weight: -8,
    phrases: {
      en: "translat* ... comments|comment|docstring|docstrings|messages|readme ... to|into|in|from {language}",
      es: "traduc* ... comentarios|comentario|docstring|docstrings|mensajes|readme ... al|a|en|del {language}",
    },
  },
  {
    name: "computers in another sense",
    domain: "coding",
    weight: -1.5,
    cap: -3,
    phrases: {
      en: `class about, story about, poem, essay, history of, table of contents, kitchen|dining|coffee table, family tree, christmas tree, code of conduct|ethics|hammurabi, dress code, zip code, area code, bar code, morse code, training program, tv program, space program,
        loyalty program, exercise program, guitar string*, middle|upper|working class, list of foods|things|ideas|reasons|items|people|groceries, shopping list, todo list, to do list, bank account, credit card, my order, pin number, world record, first class, english class, yoga class, act as`,
      es: `historia de, poema, ensayo, mesa, codigo postal, codigo penal|civil|etico|de conducta, programa de television|radio|estudios|entrenamiento|fidelidad, clase media|obrera|social|de yoga|de ingles, lista de la compra, arbol genealogico, consulta medica, cadena de montana*|suministro|televisión, pagina de un libro`,
    },
  },

  // ---------------------------------------------------------------- pictures
  {
    name: "a picture that was sent",
    domain: "multimodal_expert",
    weight: 8,
    cap: 9.5,
    phrases: {
      en: `{this} {picture}|{figure}, {this} attached|uploaded|new|old {picture}|{figure}, {picture}|{figure} attached|provided|below|above|shown, {picture} i|we ... sent|send|attach*|upload*|took|shared|posted|am, {figure} i sent|attached|uploaded|shared, {figure} i have sent|attached|uploaded|shared,
        in|on|from|of|at|behind|to ... the {picture}, as shown in the {picture}|{figure}, x ray i, attached x ray, this x ray, this 3d, text|words|writing in|on|of {this} {picture}|{figure}, {picture} was|is taken, what ... {picture} ... show*, {this} ... {picture}, the {picture} content|information|shows|show, based on ... {picture}, according to ... {picture}, attached {picture}|{figure}|file, see ... attached, see the {picture},
        in|within|inside the {picture}, given ... {picture}, here is a|an|the|my {picture}|{figure}, look at ... {picture}|{figure}, what|who is|are in|on|shown|written|happening ... {picture}, what do|can you see, what can be seen, do you see ... {picture},
        describe ... {picture}, caption ... {picture}, caption for ... {picture}, transcribe ... {picture}|handwriting|sign|label|note, read ... text|writing|sign|label|numbers ... {picture}|{figure}, extract ... {picture}, ocr this, the {picture}|{figure} i sent|attached|uploaded|shared,
        is|are there ... {picture}, what breed is this, what plant is this, what is shown, seen here, pictured, identify this plant|bug|insect|animal|bird|flower|object|person|mushroom, what does this sign|label|screen|note say, what colour|color is|are the ... in|on|of the, what is this a picture of`,
      es: `{this} {picture}|{figure}, {picture}|{figure} adjunt*, {picture}|{figure} que te|les|os|he|acabo|subi|adjunto|mando|paso|envio|envie|mande, {picture} ... que te mando|paso|envio|envie|mande|pase|adjunto|comparto, te mando|paso|envio|adjunto|comparto|dejo|subo|mande|pase|envie ... {picture}|{figure},
        en|de|segun|a|mira|mire|miren|observa|fijate ... la|las|el|esta|este|mi {picture}, en|de la|las|el {picture}, analiza|describe|describeme|interpreta|transcribe|lee|extrae|resume|identifica|mira|revisa|observa ... {picture}|{this} {figure}, adjunto {picture}|{figure}|una|un, mira ... {picture}|{figure},
        que se ve|aprecia|muestra|observa, que ves|hay|aparece|pone|dice en ... {picture}|{figure}, que pone en ... cartel|etiqueta|letrero|pantalla, que ves aqui, que aparece ... {picture}, que ves en, lo que ves, ves en ... {picture}, esta {picture}, la {picture} que, la {picture} muestra, segun la {picture}, he subido una|un, acabo de subir, segun|mira|observa|en la|el|los|las {picture}|figura, te paso|mando|envio el|la|un|una {picture}|{figure}, texto|textos|palabras de|en {this} {picture}|{figure}, del escaneo|pantallazo|fotograma, el escaneo,
        que imagen, cual imagen,
        que planta|bicho|insecto|raza|animal|flor|seta es esta|este`,
      other: `auf|in|zeigt|beschreibe|siehst ... bild|foto|bildes|bilder|screenshot, dieses|diesem|das|dem bild|foto|bildes, beschreibe ... bild|foto, sur|dans|decris|regarde ... image|photo|l'image, cette image|photo|capture, l' image, la photo, nesta|nessa|na|da|descreva|desta|dessa ... imagem|foto|fotografia|figura, esta imagem,
        in|nella|nell'|questa|sulla|descrivi ... immagine|foto, questa foto|immagine, aquesta|la|a|descriu ... imatge|foto, en aquesta imatge, nesta|na|da|desta|esta imaxe|fotografia, argazki* honetan|hau, irudi*, gambar ini, di|dalam|pada gambar|foto, na zdjeciu|obrazku|fotografii, tym zdjeciu|obrazku, pa bilden|fotot, op de|deze foto|afbeelding, deze foto, in de|het afbeelding|foto, bu resim*|fotograf*, resimde*, fotografta*,
        фото, фотографии, фотография, картинке, изображении, изображение, картина, картинка, картине, рисунке, скриншоте, снимке, الصورة, صورة, तस्वीर, चित्र, छवि, फोटो, ছবি*, ছবিতে, ছবির, φωτογραφια, εικονα, תמונה, בתמונה, תצלום, 사진*, 그림*, 이미지*, 화면*, picha, hinh anh, buc anh, trong anh|hinh, buc hinh`,
    },
    fragments: "图片 照片 图像 图中 这张图 截图 圖片 画像 写真 この絵 スクリーンショット ภาพ รูป ছবি 사진 이미지",
    unless:
      "big picture, imagen corporal|publica|personal|corporativa, imagen de marca|la empresa, body|public|brand|self|corporate image, image of the company|brand, image of my|our company|brand",
  },
  {
    name: "a figure that is referred to",
    domain: "multimodal_expert",
    weight: 5,
    phrases: {
      en: `in|on|from|based|using|use|analyze|analyse|check|describe|explain|read|count ... the|this|that scanned page, as shown in, use the graph|diagram|chart|figure|table to answer, in|from|on|per the graph|diagram|chart|figure|drawing|scan|screenshot|pic|painting|illustration, according to the graph|diagram|chart|figure|drawing|map, shown in the, check the pic*|image*|photo*, scanned page, the figure shows, describe|caption|transcribe the|my {picture}|{figure}, the image|photo|picture show*, the pic`,
      es: `como muestra la|el {picture}|{figure}, segun la|el grafica|grafico|diagrama|figura|esquema|ilustracion|mapa|plano, en|segun|mira|analiza|describe|explica la|el|los|las {figure} de arriba|abajo, en|segun la|el grafica|grafico|diagrama|figura|fotograma|escaneo|plano|esquema|ilustracion|mapa|dibujo que|de|se|cuanto|cuantos|halla, analiza|explica|describe|resume|interpreta el|la fotograma|escaneo|radiografia|captura|pantallazo|grafico|grafica|dibujo|ilustracion|imagen|foto, de arriba, donde se hizo la|el {picture}`,
      other: `ci joint, en anexo, em anexo, angehangten, allegato, grafico allegato, adjunt, photographie, photographies, графике, الرسم, schermata, sur cette|la|le graphique|photographie|capture|dessin`,
    },
    fragments: "图表 附件 圖表 グラフ 添付 첨부",
    unless: "algorithm, theory, algoritmo, node*, api",
  },
  {
    name: "image mark",
    domain: "multimodal_expert",
    weight: 8,
    phrases: { any: "^ image ... image, ^ img, image attached, imagen adjunta, foto adjunta, photo attached" },
    fragments:
      "[image] <image> [img] <img> [imagen] <imagen> [foto] <photo> [photo] (image (foto (imagen (picture (photo (adjunto [picture]",
  },
  {
    name: "words for pictures",
    domain: "multimodal_expert",
    weight: 2,
    cap: 4,
    phrases: {
      any: "{picture}, the|my|la|mi|esa|una {picture}, foto*, bild, imagem, immagine, imatge, imaxe, photo",
    },
    unless: `docker, imagen corporal, body image, take|taking|took photos|pictures|photo|photographs, image of the company|brand, public image, self image, brand image, imagen de marca|publica|corporativa, body image, mirror image, spitting image, profile picture, foto de perfil,
      motion picture, big picture, best picture, picture frame, photo editing, photography, fotografo, invented, inventor, invento, first photo*, primera foto*, generate, generar, genera, photo album, album de fotos, hacer|sacar|tomar|saco|hago fotos|foto|fotografias, photos of the`,
  },
  {
    name: "seen in a scene",
    domain: "multimodal_expert",
    weight: 2,
    cap: 3.5,
    phrases: {
      en: `to the left|right of|side, on the left|right side, left|right of the, behind the, in the background|foreground, on top of the, what color|colour is|are the, what is the person|man|woman|boy|girl, is the man|woman|person|boy|girl|dog|cat, the man|woman|person|boy|girl|guy ... wearing|holding|doing|sitting|standing, how many people are, what does the sign|text|label say,
        what is written, what brand is|are, what number is on|written, what letters, what is the brand, what does it say, bounding box, region`,
      es: `a la izquierda|derecha de, de que color es|son, en el fondo, que lleva puesto, cuantas personas hay|aparecen|se, que hora marca, que pone, que esta escrito, que dice el cartel|letrero|texto`,
    },
    unless: "write, story, essay, how do i, poem, politic*",
  },
  {
    name: "image in another sense",
    domain: "multimodal_expert",
    weight: -4,
    cap: -6,
    phrases: {
      en: `docker|container|disk|iso|base|public|brand|self|body|mirror|company|corporate image*, image of the company|brand|god, image tag*, image url*, background image*, image upload*, upload ... image*|photo*|picture* ... with|in|using|to, load ... image|images, image size, image path, image processing, image file*, image src, imageview, uiimage, picturebox, big picture, picture this, motion picture, out of the picture, moving picture*, resize ... image*, crop ... image*, image classif*,
        image recognition, image format*, an image tag, draw ... image, display|show|save|convert|compress|insert|store|rotate ... image*|photo*|picture* ... in|with|using|from|to, generate|create|draw|make|paint an|a image|picture|photo, take|taking better|good|great pictures|photos|photographs, picture frame*, picture of health, image gallery, lazy load*, photo gallery, profile picture, in python, in java, in javascript, in c#, in php, using python|opencv|javascript|php|java, in react, in css, with css, in html`,
      es: `imagen de docker|marca|iso|disco|la empresa|la marca|la compania|fondo|portada|perfil, imagen publica|corporativa|personal, redimensionar|recortar|cargar|subir|mostrar|guardar|comprimir|convertir|optimizar|centrar|girar|insertar ... imagen|imagenes|foto|fotos ... con|en|de, foto de perfil, album de fotos, a imagen y semejanza, imagenes en go|php|python|java|html, procesamiento de imagenes, tratamiento de imagenes,
        hacer|sacar|tomar mejores|buenas fotos, en python, en java, en javascript, en php, en html, con css, en css, con python, en react`,
    },
  },

  // ---------------------------------------------------------------- across languages
  {
    name: "translation",
    domain: "multilingual_expert",
    weight: 6,
    cap: 7,
    phrases: {
      en: `translat* ... to|into|in|from {language}, translat* ... {language} to|into|translation, {language} translation, translate this|the ... comment*|sentence|phrase|text|paragraph|docstring|word|email|letter|poem, translation of ... in|into|to {language}, translation for, translation right, translate this, translate the following, ^ translat*, please translate, can|could|would you|u translate, how do|would|can|could|should|to you|i|we|they|one|u say ... in|to {language}, how is|do ... said in {language}, say in {language}, say ... in {language}, same sentence in {language}, i need this in {language}, need ... in {language}, if i were {language}|french|mexican|brazilian, say ... in france|china|japan|germany|italy|brazil|mexico|russia|korea|spain|portugal|hawaii|greece|turkey|chile, {language} speakers, localize, localise, message|email|letter|text in {language}, {language} word ... for|use, help me with my {language}, what language is this|that, which language is this, how do you pronounce, how is ... pronounced, pronounce ... in, reply|answer|respond in {language}, rewrite ... in {language}, native speaker*, in {language} and {language}, in {language} how do, speak|speaking {language}, word in {language}, say ... in {language},
        how do|would|can|could you|i|we|they say, how to say ... in {language}, how do they say, {language} word|words|phrase|term|equivalent|expression for|of, word for ... in {language}, how is ... in {language} $, what does ... mean in english|{language}, in {language} please, mean* in english|{language},
        correct|proofread|check|improve my {language}, {language} grammar|pronunciation|lesson|verbs|conjugation|accent, conjugate, learn ... {language}, teach me ... {language}, phrase in {language}, phrases in {language}, practice|practise my|some {language}, answer|reply|respond|write|summarize|summarise|explain|rewrite ... in {language} $, put this|that|it ... in|into {language}, {language} version of, into {language}, english to {language}, {language} to english|{language}, from {language} to|into {language}, from {language} into`,
      es: `traduce* ... al|a|en|del {language}, traduc* ... {language}, traduccion al|del|de|en ... {language}, traduccion de ... frase|texto|palabra, me traduces, me puedes traducir, traduce, traduceme, traducir, traduzca, traducelo, traduzcas, tradusca, traducime, como se dice|diria|dicen|escribe ... en {language}, como digo|diria|se dice|diria ... {language}, nativo de {language}, como se pronuncia, como se escribe ... en {language}, en {language} como se, en que idioma esta*, que idioma es, equivalente en {language}, necesito ... en {language}, decir en {language}, palabra {language} para, nativo de {language}, como diria, lo mismo en {language}, mensaje|correo|carta|email en {language}, en {language} y en {language}, en {language} y {language}, es correcta esta traduccion, esta bien traducido, como se dice, como se dise, como digo,
        que significa ... en {language}|espanol|castellano, en {language} por favor, pasa* ... al|a {language}, pasame|ponme|pon|escribe|redacta|responde|contesta|resume|di|dime|explica ... en {language}, al {language}, version en {language}, del {language} al|a, de {language} a {language}, corrige mi {language}, mi {language}, palabra|palabras|frase|frases en|del|de {language}, aprender {language}, gramatica {language}|del|de, pronuncia* ... en {language}, conjuga`,
      other: `traduis|traduisez ... en|au, traduire, ubersetze, ubersetzen, traduza, traduzir, traduci ... in, tradurre, tradueix, vertaal, przetlumacz`,
    },
    fragments: "翻译 翻譯 翻訳 번역 переведи перевод ترجم अनुवाद แปล",
    unless:
      "google translate api, css translate, translate x, python to|a java|javascript|c++|rust|go, java to|a python|kotlin, translate ... into code|python|sql|java, protein*, dna, rna, mrna, lost in translation",
  },
  {
    name: "a phrase in another language",
    domain: "multilingual_expert",
    weight: 4.5,
    maxWords: 9,
    phrases: { any: "in {language} $, en {language} $, al {language} $, to {language} $, into {language} $" },
    unless:
      "^ who|when|where|which|quien|cuando|donde, written|published|released|first|born|class|lessons|escrito|publicado|publico|lider, essay, ensayo, poem",
  },
  {
    name: "human languages",
    domain: "multilingual_expert",
    weight: 0.8,
    cap: 1.6,
    phrases: { any: "{language}" },
    unless: `{language} food|cuisine|history|empire|culture|art|literature|revolution|war|wine|language|government|company|king|queen|president|restaurant|civil|league|team|music|movie|film|toast|fries|bulldog|shepherd|speaking|citizen*, latin america*, cocina {language},
      comida {language}, guerra civil, historia, imperio {language}, revolucion {language}, vino {language}`,
  },
  {
    name: "what a foreign phrase means",
    domain: "multilingual_expert",
    weight: 1.5,
    phrases: {
      en: "what does ... mean in, translation, translate*, translator, bilingual, multilingual, mother tongue, foreign language, meaning of the phrase",
      es: "que quiere decir ... en, traduccion*, traduc*, bilingue, multilingue, lengua materna, idioma*, palabra en, frase en",
    },
    unless: "protein*, dna, rna, mrna, css",
  },
  {
    name: "translation of code",
    domain: "multilingual_expert",
    weight: -4,
    phrases: {
      en: `translat*|convert|port ... from {programming}|python|java to|into {programming}|python|java|go|rust|swift|ruby|c, translat* ... code|function|script|query to|into|from {programming}|python|java|go|rust|swift|ruby|c, translat* ... to|into {programming}|python|java|go|rust|swift|ruby, css translate, translate function|api, translation file*, i18n,
        script|app|program|function|code ... translat*`,
      es: "traduce*|pasa|convierte ... de {programming}|python|java a {programming}|python|java|go|rust|swift|ruby|c, traduc* ... codigo|funcion|script|consulta ... a|de {programming}|python|java|go|rust|swift|ruby|c, script|app|aplicacion|programa|funcion|codigo ... traducir|traduccion*|traduzca",
    },
    unless:
      "comments to|into|in, comment to|into, comments, docstring*, comentario*, error message*, mensaje* de error",
  },

  // ---------------------------------------------------------------- greetings, facts, sums
  {
    name: "greeting or thanks",
    domain: "general",
    against: "technical",
    weight: 4,
    maxWords: 14,
    phrases: {
      en: `^ hi, ^ hello, ^ hey, ^ hiya, ^ yo, ^ howdy, ^ greetings, ^ good morning|afternoon|evening|night|day, ^ thanks, ^ thank you, ^ thx, ^ ty, ^ bye, ^ goodbye, see you, see ya, how are you*, how is it going, how are things, what is up, ^ sup, nice to meet you, ^ ok, ^ okay, ^ cool, ^ great, ^ lol, ^ haha*, ^ yes, ^ no, ^ sure, ^ awesome,
        how do you do, how r u, merry christmas, happy birthday, happy new year, take care, have a nice|good|great, ^ sorry, ^ welcome, ^ wow, ^ morning, ^ yep, ^ yeah, ^ nope`,
      es: `^ hola*, ^ ola, ^ holi*, ^ buenas, ^ buenos dias, ^ buen dia, ^ buenas tardes|noches, ^ gracias, muchas gracias, mil gracias, ^ adios, ^ chao, ^ chau, hasta luego|manana|pronto, como estas, como esta usted, como te va, como andas, como va todo, que tal, ^ que hay $, que hay de nuevo, que onda, que pasa $, ^ ey, ^ vale, ^ ok, ^ si $, ^ no $, ^ claro, ^ jaja*, ^ perdon, ^ perdona, ^ lo siento, encantado, encantada, mucho gusto, feliz cumpleanos|navidad|ano, felices fiestas, ^ genial, ^ bueno, ^ saludos, que haces $, k tal, q tal, ke tal, ^ wenas`,
    },
  },
  {
    name: "small talk",
    domain: "general",
    against: "technical",
    weight: 2.8,
    cap: 4.2,
    maxWords: 16,
    phrases: {
      en: `who|what are you, are you a|an|real|human|robot|bot|happy|sad|there|ok|married|single|hungry|smart|alive|tired|angry|sure|mad|gay|ready|busy|stupid|funny|the, do you like|love|have|know|want|believe|think|sleep|eat|dream|feel|hate|work|speak|remember|get|play, what is your|ur, your name|age|birthday|job|boss|favorite|favourite|hobbies|hobby|family|mother|father|parents|creator|maker, who made|created|built|designed you, how old are you, where are you|do you live, tell me ... joke*, tell|say something, joke*,
        make me laugh, i love|hate|like|miss you, you are|r a|an|so|the|my|very|really|not|too|annoying|stupid|smart|funny|great|awesome|beautiful|cute|dumb|boring|ugly|bad|good|amazing|useless, i am bored|sad|tired|hungry|happy|angry|lonely|sick|back|home|sorry|fine|good|depressed|gay|single|married|hot|cold|drunk|so|headed|really, im bored|sad|tired|hungry|happy|sick, i feel, shut up, go away, marry me, i want you to know, refer to me, your free time, flip a coin, should i get|become|start|go|be, i plan to, i adore, i enjoy, i want to, i need a, will you, sing ... song, flip a coin, roll a dice|die, can you help me $, help me $, help $, what can you do, what do you do, talk to me, call me,
        my name is, fun fact*, do i look, what should i ask, you rock, you suck, well done, good job|bot, nice job|work, meaning of life, what time is it, what day is it, what is the date|time|weather, repeat that, say that again, speak up|slower|louder, never mind, nevermind, that is great|nice|cool|good|funny|bad|right|wrong|not|all|it|awesome|so|what,  did you know, guess what, can i ask, tell me about yourself, who is your, your boss|bf|gf|girlfriend|boyfriend|friend*, change your name`,
      es: `quien|quienes|que eres, eres un|una|humano|humana|real|robot|feliz|tu|muy|listo|inteligente|tonto|tonta|el|la|de|mi|lo|gay|capaz|guapo|guapa|aburrido|idiota|estupido, te gusta*, te quiero|amo|odio|gusto|caigo|echo|apetece|aburres|crees|sientes|llamas|importa, tienes amigos|familia|hambre|novia|novio|hijos|hermanos|sueno|miedo|frio|sentimientos|hobbies|padres|jefe|pareja|razon|alma|animales|mascota*|anos|edad, cuantos anos tienes, que edad tienes, como te llamas, cual es tu, tu nombre|edad|jefe|creador|color|comida|pelicula|hobby|hobbies|cumpleanos|familia|novio|novia, quien te ha|creo|hizo|invento|diseno,
        quiero que me|te|seas|cantes|digas, quiero saber, retirar, despedir, voy a, pienso en, creo que, crees que, referirme a ti, dirig* a ti, que me digas, mas claridad, soy, me gusta*, me encanta*, adoro, odio, de donde eres, donde vives|estas, cuentame, dime|cuenta|dime ... chiste|algo|broma|curiosidad, chiste*, hazme reir, estoy aburrid*|trist*|cansad*|feliz|enfadad*|contento|contenta|solo|sola|enfermo|enferma|harto|harta|bien|mal|hambriento|deprimid*|estresad*|muy|de, tengo hambre|sueno|sed|frio|calor|miedo, me siento, me aburro, me voy, me caes, callate, vete, casate conmigo, canta* ... cancion, canta, tira un dado|una moneda, lanza una moneda, ayuda $, ayudame $, puedes ayudarme, me ayudas, que puedes|sabes hacer, que haces, hablame, me llamo, mi nombre es,
        adivina, que hora es, que dia es, a que dia estamos, sabes ... algo, piensas en, que opinas de mi, estoy guap*|gord*, sentido de la vida, eres, estas ahi|bien|viv*|enfadad*|list*|loc*|cas*, haces bien|deporte, perdoname, no te entiendo, no entiendo, que aburrido, que gracioso|divertido|bueno|bien|asco|pena|guay, muy bien, buen trabajo, bien hecho, hablas, puedo preguntarte|hacerte, quieres ser|salir|casarte|hablar|jugar, conoces a, cuentame de ti, presentate, dime quien, que modelo`,
    },
    unless: "write, essay, escribe, redacta, ensayo, poem, poema, imagine you",
  },
  {
    name: "assistant's everyday chores",
    domain: "general",
    against: "technical",
    weight: 1.5,
    maxWords: 22,
    phrases: {
      en: `my account*, my bill*, my card, my balance, my calendar, my schedule, to do list, todo list, shopping list, alarm, timer, remind*, reminder*, volume, weather, traffic, flight*, restaurant*, reservation*, gas, credit score|card|limit, interest rate, bank, pto, vacation days, meeting, order status, insurance, oil change, tire pressure, mpg, uber, playlist, song, text, phone, taxes, w2, paycheck, direct deposit, exchange rate, calories, recipe, ingredient*, jump start, travel alert*, plug type, visa, vaccin*, lost luggage, carry on, rewards, apr, transfer ... account, pin, routing number, measurement, spelling|spell, definition, define, what does ... mean, whisper mode, accent, sync, device, tell ... where i am, spending, spent, income, payday, due`,
      es: `alarma, recordatorio, recuerdame, temporizador, volumen, el tiempo, trafico, vuelo, mi cuenta|saldo|tarjeta|calendario|agenda, lista de la compra, restaurante, reserva, deletrea, definicion, define`,
    },
    unless: "write, essay, escribe, explain, plan, explica",
  },
  {
    name: "one-fact question",
    domain: "general",
    against: "technical",
    weight: 2.4,
    cap: 3,
    maxWords: 26,
    phrases: {
      en: `^ who, ^ when, ^ where, ^ which, ^ whose, ^ in what|which, ^ on what|which, ^ at what|which, ^ by what, ^ for what|which, ^ how many|much|old|tall|far|long|big|high|deep|fast|large|often|heavy, who is|was|were|wrote|invented|painted|discovered|won|plays|played|sang|sings|composed|directed|founded|is|are|has|did|built, what year|date|time|day|century|month|is the capital|is the name|was the name|kind of|type of|percentage|number|language|country|city|state, capital of, population of, currency of, area of, height of|length of|distance, what is the largest|biggest|smallest|highest|longest|capital|population|currency|chemical|symbol|boiling|square root|speed|distance|opposite|plural|name|meaning|definition|tallest|oldest|first|last|official,
        name of the, symbol for|of, the real name, synonym of|for, antonym of|for, opposite of, plural of, square root of, meaning of, define, definition of, how do you spell, what does ... stand for, what does ... mean $, born, died, tell|show|give|remind me who|when|where|what|which|how|the, know who|when|where|what|which|how, need|want to know, like to know, find out, what $, in|of|from what|which year|country|city|state, ^ name the, convert, how do i|you convert, inches, pounds, ounces, kilos, kilograms, celsius, fahrenheit, tablespoon*, teaspoon*, time zone, timezone, calories|calorie, day off, holiday*`,
      es: `^ quien|quienes, ^ cuando, ^ donde, ^ cuanto|cuanta|cuantos|cuantas, ^ en que, ^ a que, ^ de que, ^ cual|cuales, ^ con que|cual|quien, ^ por que|cual tipo, ^ para que|quien, ^ desde|hasta|durante|hacia|entre|segun|sobre que|quien|cuando|cuanto, ^ y|oye|dime quien|cuando|donde|cuanto*, quien fue|es|era|escribio|invento|pinto|descubrio|gano|canta|dirigio|fundo|compuso|construyo|hizo, que ano|dia|siglo|pais|ciudad|idioma|moneda|porcentaje|tipo|numero|nombre|animal|planeta|rio|mes, capital de*, poblacion de, moneda de, superficie de, altura de*, formula quimica, simbolo quimico|de, cuantos|cuantas ... tiene|hay|son,
        cual es|era|fue el|la, raiz cuadrada de, sinonimo de, antonimo de, contrario de, plural de, significado de, que significa, definicion de, define, como se escribe, como se llama|llaman|llamaba, en que ano, donde esta|queda|nacio|se encuentra, cuando nacio|murio|empezo|termino|fue|se, edad de`,
    },
  },
  {
    name: "plain question",
    domain: "general",
    against: "technical",
    weight: 1.3,
    maxWords: 20,
    phrases: {
      en: `^ what, ^ is, ^ are, ^ was, ^ were, ^ do, ^ does, ^ did, ^ can, ^ could, ^ has|have|had, ^ will, ^ should, what is|are|was|were|did|does|do`,
      es: `^ que, ^ es|son|era|fue|hay|esta|estan|existe|existen|puede|pueden|puedo|tiene|tienen|sabes|hubo, que es|son|era|fue|hizo|pasa|ocurre|sucede|hacen|hace`,
    },
  },
  {
    name: "sum",
    domain: "general",
    against: "technical",
    weight: 4,
    maxWords: 16,
    phrases: {
      en: `plus, minus, times, divided by, multiplied by, percent of, percentage of, square root, squared, cubed, to the power of, half of, calculate, how much is, what is 0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|25|30|40|50|60|75|80|90|100`,
      es: `cuanto es|son|da|suman|vale, mas|menos|por|entre ... igual, dividido, multiplicado, raiz cuadrada, al cuadrado, al cubo, elevado a, por ciento de, la mitad de, el doble de, el triple de, calcula, suma, resta, multiplica, divide`,
    },
    unless:
      "function, funcion, program*, script, code, codigo, list, array, write, escribe, sometimes, new york times, plus size",
  },

  // ---------------------------------------------------------------- work that wants a larger model
  {
    name: "a task of writing or analysis",
    domain: "technical",
    against: "general",
    weight: 3.2,
    cap: 4.5,
    phrases: {
      en: `explain, write|rewrite|draft|compose a|an|me|the|this|about|in|two|three|my|some|your, write, essay, article, summari*, compare, comparison, contrast, analyze, analyse, analysis, describe how|the|a|an|what|your, discuss, argue, evaluate, critique, outline, paragraph, brainstorm, ideas for, suggest*, recommend*, propose, give me ... ideas|tips|advice|plan|list|reasons|arguments|examples|steps|strategies, tips for|on|to, advice, pros and cons, advantages, disadvantages, difference|differences between, strategy, strategies, design a|an, plan a|an|for|my|our, create a|an, make a|an ... plan|list|schedule|table|menu, itinerary, business plan, cover letter, resume, letter to|of|for, email to, speech, poem, haiku, limerick, short story, story about, song about, blog post, dialogue, script for a, press release, product description, ^ imagine, imagine you|a|that, act as, role play, roleplay, pretend,
        step by step, in detail, causes of, effects of, impact of, importance of, benefits of, how does ... work, how do ... work, rewrite, paraphrase, simplify, proofread, edit this|my, improve, classify, extract, elaborate, develop, generate, list of|the|three|five|ten|some|all|5|10|3, list, organize a|my|an, create, provide, what are the main|key|advantages|benefits|causes|differences|consequences|best|pros|steps|arguments, what would happen, how can|could|should i|we|you|one|companies|governments, what if, help me write|with|to|plan|understand|choose|decide|prepare, what do you think about|of the, what should i do, what|how|when|where|why should i, what can i do to, tell me how to, your task, what factors|causes, factors that, influence, what are the ... effective|consequences|causes|effects|ways|reasons|differences|advantages|benefits|steps|factors, in the style of, as if you were, course on, curriculum, lesson plan, treatment*, treat my|a|an, symptoms, negotiat*, investing, investment*, invest in`,
      es: `explica*, explique, escribe|escribeme|redacta|redactame|compon|escriba|redacte un|una|el|la|sobre|me|algo, escribe, redacta, ensayo, articulo, resum*, compara*, comparacion, contrasta, analiza*, analisis, describe, discute, argumenta*, argumentos, evalua*, critica, esquema, parrafo, sugier*, sugerencia*, recomiend*, recomendacion*, recomendarias, propon*, ideas para, dame ... ideas|consejos|plan|razones|argumentos|ejemplos|pasos|estrategias|pautas, consejo*, pros y contras, ventajas, desventajas, inconvenientes, diferencia|diferencias, estrategia*, disena*, planifica*, plan de|para, crea|creame un|una, itinerario, plan de negocio, carta, curriculum, discurso, poema, haiku, cuento, relato, historia sobre|de un|de una|corta, cancion sobre, entrada de blog, dialogo, guion, imagina*, actua como, ponte en el lugar, haz de, finge,
        paso a paso, en detalle, detalladamente, causas de*, efectos de*, impacto de*, importancia de*, beneficios de*, como funciona*, reescribe, parafrasea, simplifica, corrige, mejora, clasifica, extrae, desarrolla, elabora*, genera, enumera, haz|hazme ... lista|tabla|menu|plan|resumen|horario, lista de, organiza*, prepara*, que pasaria si, como puedo|podria|podemos|deberia|hago|hacer|evitar|mejorar|se hace|elegir|elijo|afecta*|influye*, ayudame a, ayuda para, que deberia|debo|me recomiendas|me aconsejas|opinas|piensas de|hago, que factores, factores que, influyen, consecuencias, causas, que debo|debemos|debes|deberia, formas mas|de, maneras de, por que es importante, mejorar, polemica, tener en cuenta, al estilo de, como si fueras, curso de|sobre, que le pasa, que hago, suelo, tratamiento, sintomas, hoja* amarill*, hongo*, rotacion, invertir, negociacion*, como negociar`,
    },
  },
  {
    name: "farming and gardening",
    domain: "technical",
    against: "general",
    weight: 2.6,
    cap: 4,
    phrases: {
      en: `sow, sowing, sowed, crop, crops, harvest*, irrigat*, fertiliz*, fertilis*, compost*, prune, pruning, soil, pests, aphid*, spider mite*, mildew, blight, weeds, seedling*, orchard, greenhouse, transplant*, livestock, water the|my|courgettes|tomatoes|plants, agronom*, mulch*`,
      es: `sembrar, siembro, siembra, se siembra, cosecha*, cosecho, riego, regar, riega, abono, abonar, fertiliz*, compost*, podo, poda, podar, plaga, plagas, pulgon*, arana roja, mildiu, oidio, tizon, malas hierbas, semillero, huerto, invernadero, trasplant*, ganado, agron*, acolchado, cultivo, cultivos, cultivar, en las plantas, mis plantas`,
    },
    unless: "who, quien, invent*, stardew",
  },
  {
    name: "a question that wants reasons",
    domain: "technical",
    against: "general",
    weight: 1.4,
    phrases: {
      en: "^ why ... is|are|do|does|did|was|were|can, why do|does|is|are|did, ^ how do|does|can|could|should|to|would|did, how do i|you|we, how to, what causes, reason*, consequence*, relationship between, how come",
      es: "^ por que, ^ porque, ^ como, xq, como se, como hacer, como hago, a que se debe, razon*, consecuencia*, relacion entre, que causa",
    },
    unless:
      "como estas, como esta usted, como te, como se llama*, como se escribe, como andas, how are you, how do you do, how do you feel, how is it going",
  },
];
